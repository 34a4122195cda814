"""The ranking loss against loops over the printed formula."""

from __future__ import annotations

import pytest
import torch

from crossray.losses.hard_negatives import (
    bidirectional_ranking_loss,
    ranking_loss,
    top_negatives,
)


def loop(scores: torch.Tensor, keys: list[int], margin: float, count: int) -> torch.Tensor:
    """The loss of one direction, query by query."""
    total = scores.new_zeros(())
    for q in range(len(keys)):
        negatives = [n for n in range(len(keys)) if keys[n] != keys[q]]
        hardest = sorted(negatives, key=lambda n: -float(scores[q, n].detach()))[:count]
        terms = [torch.relu(margin - scores[q, q] + scores[q, n]) for n in hardest]
        if terms:
            total = total + sum(terms) / len(terms)
    return total / len(keys)


@pytest.mark.parametrize("size", [2, 3, 6, 9])
@pytest.mark.parametrize("count", [1, 5])
def test_values_and_gradients_equal_the_printed_formula(size: int, count: int) -> None:
    """Mining the wrong negatives, or too few of them, trains another method than HIER."""
    keys = [i // 2 if i < 4 else i for i in range(size)]
    same = torch.tensor(keys)[:, None] == torch.tensor(keys)[None]
    fast = torch.randn(size, size, dtype=torch.float64, requires_grad=True)
    slow = fast.detach().clone().requires_grad_()
    ours, reference = ranking_loss(fast, same, 0.2, count), loop(slow, keys, 0.2, count)
    torch.testing.assert_close(ours, reference)
    if reference.requires_grad:
        ours.backward()
        reference.backward()
        torch.testing.assert_close(fast.grad, slow.grad)


def test_positives_are_never_mined() -> None:
    """An item of the same study, pushed away as a negative, is an error in the labels."""
    scores = torch.randn(8, 8)
    keys = torch.tensor([0, 0, 0, 1, 1, 2, 3, 4])
    same = keys[:, None] == keys[None]
    scores[same] = 100.0
    negatives, real = top_negatives(scores, same, 5)
    assert (negatives[real] < 50).all()
    assert real.sum(dim=1).tolist() == [5, 5, 5, 5, 5, 5, 5, 5]


def test_one_item_has_no_negatives() -> None:
    """A batch of one study must add nothing, not NaN."""
    loss = ranking_loss(torch.randn(3, 3), torch.ones(3, 3, dtype=torch.bool), 0.2, 5)
    assert loss.item() == 0.0


def test_both_directions_are_summed() -> None:
    """One direction left out halves what text queries learn."""
    scores, same = torch.randn(5, 5), torch.eye(5, dtype=torch.bool)
    both = bidirectional_ranking_loss(scores, scores.T, same, 0.2, 5)
    one, other = ranking_loss(scores, same, 0.2, 5), ranking_loss(scores.T, same, 0.2, 5)
    torch.testing.assert_close(both, one + other)
