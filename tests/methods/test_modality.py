"""The modality classifier's losses against the printed cross-entropy (equations 10 and 11)."""

from __future__ import annotations

import math

import pytest
import torch

from crossray.methods.gpldan.losses import deception_loss, modality_loss


def printed(logits: list[float], label: int) -> float:
    """The mean of -(y log x + (1 - y) log(1 - x)), x the sigmoid of a logit."""
    x = [1 / (1 + math.exp(-logit)) for logit in logits]
    return -sum(label * math.log(p) + (1 - label) * math.log(1 - p) for p in x) / len(x)


def test_losses_equal_the_printed_equations() -> None:
    """Images are 1, texts 0; the deception exchanges them."""
    image, text = torch.randn(7, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    told = printed(image.tolist(), 1) + printed(text.tolist(), 0)
    deceived = printed(image.tolist(), 0) + printed(text.tolist(), 1)
    assert modality_loss(image, text).item() == pytest.approx(told)
    assert deception_loss(image, text).item() == pytest.approx(deceived)


def test_gradients_pull_apart_and_together() -> None:
    """With the signs exchanged the two networks would help each other (test 8)."""
    for loss, towards_image in ((modality_loss, 1.0), (deception_loss, -1.0)):
        image = torch.randn(5, dtype=torch.float64).requires_grad_()
        text = torch.randn(5, dtype=torch.float64).requires_grad_()
        loss(image, text).backward()
        assert image.grad is not None
        assert text.grad is not None
        assert (torch.sign(-image.grad) == towards_image).all()  # the way a step goes
        assert (torch.sign(-text.grad) == -towards_image).all()


def test_large_logits_stay_finite() -> None:
    """A classifier that is sure would end a run in NaN."""
    sure = torch.tensor([200.0])
    assert torch.isfinite(deception_loss(sure, -sure))
    assert modality_loss(sure, -sure).item() == pytest.approx(0.0, abs=1e-6)
