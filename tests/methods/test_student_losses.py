"""Losses of codes by hand."""

from __future__ import annotations

import pytest
import torch

from crossray.methods.student.model import bit_balance_loss, quantisation_loss


def test_quantisation_loss_by_hand() -> None:
    """Codes are the signs of outputs: what lies between -1 and +1 is lost."""
    outputs = torch.tensor([[0.5, -1.0], [0.0, 0.25]])
    assert quantisation_loss(outputs).item() == pytest.approx((0.25 + 0 + 1 + 0.5625) / 4)
    assert quantisation_loss(torch.randn(5, 8).sign()).item() == 0


def test_bit_balance_loss_by_hand() -> None:
    """A bit that is the same for all items tells nothing."""
    outputs = torch.tensor([[1.0, 1.0, 0.5], [1.0, -1.0, 0.0]])
    assert bit_balance_loss(outputs).item() == pytest.approx((1 + 0 + 0.0625) / 3)
