"""MMDL's loss against its printed equation."""

from __future__ import annotations

import math

import pytest
import torch

from crossray.methods.mmdl.model import label_residual


def test_two_rows_by_hand() -> None:
    """The mean of squares, 12.5, is another objective: one far row would outweigh the others."""
    h_BD = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    labels_BC = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    value = label_residual(h_BD, torch.eye(2), labels_BC)
    assert value.item() == pytest.approx((5.0 + 1.0) / 2)


def test_gradients_are_the_closed_forms() -> None:
    """A wrong gradient trains, only to something else."""
    generator = torch.Generator().manual_seed(0)
    h_BD = torch.randn(7, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    coupling_DC = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels_BC = torch.randint(0, 2, (7, 3), generator=generator).double()
    label_residual(h_BD, coupling_DC, labels_BC).backward()
    assert h_BD.grad is not None
    assert coupling_DC.grad is not None
    expected_DC = torch.zeros(5, 3, dtype=torch.float64)
    for row in range(7):
        h_D = h_BD[row].detach()
        r_C = coupling_DC.detach().T @ h_D - labels_BC[row]
        length = math.sqrt(sum(float(value) ** 2 for value in r_C))
        expected_DC += torch.outer(h_D, r_C) / length / 7
        torch.testing.assert_close(h_BD.grad[row], coupling_DC.detach() @ r_C / length / 7)
    torch.testing.assert_close(coupling_DC.grad, expected_DC)


def test_a_row_that_meets_its_labels_has_no_gradient() -> None:
    """The derivative of a norm at 0 is 0 / 0: one perfect row would turn all weights into NaN."""
    h_BD = torch.tensor([[1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    coupling_DC = torch.eye(2, requires_grad=True)
    label_residual(h_BD, coupling_DC, torch.tensor([[1.0, 0.0], [0.0, 0.0]])).backward()
    assert h_BD.grad is not None
    assert coupling_DC.grad is not None
    assert not h_BD.grad.any()
    assert not coupling_DC.grad.any()
