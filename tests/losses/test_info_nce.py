"""InfoNCE against loops over the printed formula and against independent packages."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch.nn import functional

from crossray.losses.info_nce import info_nce, symmetric_info_nce


def loop(scores: torch.Tensor, keys: list[int]) -> float:
    """The loss of one direction, query by query."""
    total = 0.0
    for q in range(len(keys)):
        negatives = [n for n in range(len(keys)) if keys[n] != keys[q]]
        terms = [math.exp(scores[q, n]) for n in [q, *negatives]]
        total += -math.log(terms[0] / sum(terms))
    return total / len(keys)


@pytest.mark.parametrize("keys", [[0, 1, 2, 3, 4], [0, 0, 1, 2, 2], [7, 7, 7, 7, 7]])
def test_equals_the_printed_formula(keys: list[int]) -> None:
    """A wrong denominator trains against an item's own study."""
    scores = torch.randn(5, 5, dtype=torch.float64)
    same = torch.tensor(keys)[:, None] == torch.tensor(keys)[None]
    assert info_nce(scores, same).item() == pytest.approx(loop(scores, keys))
    expected = (loop(scores, keys) + loop(scores.T, keys)) / 2
    assert symmetric_info_nce(scores, same).item() == pytest.approx(expected)


def test_equals_ntxent_of_pytorch_metric_learning() -> None:
    """The loss must be the field's InfoNCE, temperature included."""
    x, y = (functional.normalize(torch.randn(8, 16), dim=-1) for _ in range(2))
    ours = info_nce(x @ y.T / 0.1, torch.eye(8, dtype=torch.bool))
    theirs = NTXentLoss(temperature=0.1)(x, torch.arange(8), ref_emb=y, ref_labels=torch.arange(8))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_equals_clip_cross_entropy() -> None:
    """With different studies throughout, it is CLIP's symmetric cross-entropy."""
    scores, target = torch.randn(6, 6), torch.arange(6)
    entropy = functional.cross_entropy
    clip = (entropy(scores, target) + entropy(scores.T, target)) / 2
    ours = symmetric_info_nce(scores, torch.eye(6, dtype=torch.bool))
    assert ours.item() == pytest.approx(clip.item())


def test_gradient_of_masked_negatives_is_zero_and_finite() -> None:
    """A NaN through the mask would destroy the weights at the first repeated study."""
    scores = torch.randn(4, 4, requires_grad=True)
    keys = torch.tensor([0, 0, 1, 2])
    symmetric_info_nce(scores, keys[:, None] == keys[None]).backward()
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[0, 1] == 0
    assert scores.grad[1, 0] == 0
