"""MMACH's losses of codes against loops over the printed formulas, on fresh random numbers."""

from __future__ import annotations

import itertools

import pytest
import torch

from crossray.methods.mmach.losses import (
    common_codes,
    label_cosine_loss,
    quantisation_error,
    ranked_triplet_loss,
)


def test_triplets_as_printed() -> None:
    """Equation 4: the sum of what is missing to the margin, and nothing where it is kept."""
    anchor, near, far = (torch.rand(40, 8, dtype=torch.float64) * 2 - 1 for _ in range(3))
    parts = [
        float(((a - b) ** 2).sum() - ((a - c) ** 2).sum() + 2.0)
        for a, b, c in zip(anchor, near, far, strict=True)
    ]
    assert min(parts) < 0 < max(parts)
    expected = sum(max(0.0, part) for part in parts)
    assert ranked_triplet_loss(anchor, near, far, 2.0).item() == pytest.approx(expected)
    assert ranked_triplet_loss(*(x[:0] for x in (anchor, near, far)), 2.0).item() == 0


def test_a_kept_margin_has_no_gradient() -> None:
    """Triplets that are right already must not move anything, not even by rounding."""
    anchor = torch.rand(5, 8, requires_grad=True)
    near, far = anchor.detach() + 0.1, anchor.detach() + 3.0
    ranked_triplet_loss(anchor, near, far, 2.0).backward()
    assert anchor.grad is not None
    assert anchor.grad.tolist() == torch.zeros(5, 8).tolist()


def test_common_codes_are_the_best_of_all_codes() -> None:
    """Equation 7 minimises equation 9: every one of the 2^k codes is tried."""
    outputs = [torch.rand(6, 7, dtype=torch.float64) * 2 - 1 for _ in range(3)]
    codes = common_codes(*outputs)
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=7)), dtype=torch.float64)
    for row, code in enumerate(codes):
        errors = sum((every - x[row]).square().sum(dim=1) for x in outputs)
        own = sum(float((code - x[row]).square().sum()) for x in outputs)
        assert own == pytest.approx(float(errors.min()))
    assert sum(quantisation_error(codes, x) for x in outputs).item() == pytest.approx(
        sum(float((codes[i] - x[i]).square().sum()) for x in outputs for i in range(6))
    )


def test_sign_of_zero_is_plus_one() -> None:
    """A code of 0 would be no code."""
    assert common_codes(
        torch.tensor([[0.0, -0.5, 0.5]]), torch.tensor([[0.0, 0.5, 0.0]])
    ).tolist() == [[1.0, 1.0, 1.0]]


def test_cosines_as_printed() -> None:
    """MMACH-MSE: negative cosines count as 0, items without label as unlike all others."""
    a, b = torch.randn(5, 8), torch.randn(7, 8)
    a_labels, b_labels = (torch.rand(5, 4) > 0.5).float(), (torch.rand(7, 4) > 0.5).float()
    a_labels[0] = 0
    cosine = torch.nn.functional.cosine_similarity
    errors = [
        (
            max(0.0, float(cosine(a[i], b[j], dim=0)))
            - float(cosine(a_labels[i], b_labels[j], dim=0))
        )
        ** 2
        for i in range(5)
        for j in range(7)
    ]
    found = label_cosine_loss(a, b, a_labels, b_labels).item()
    assert found == pytest.approx(sum(errors) / 35, rel=1e-4)
