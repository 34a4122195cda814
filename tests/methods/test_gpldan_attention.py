"""Diversified attention and pair scores against loops over equations 1 to 3 (tests 1 to 3)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from crossray.methods.gpldan.attention import (
    SlotAttention,
    own_vectors,
    pair_cosines,
    pair_weights,
    slots_of,
)
from crossray.methods.gpldan.model import corrupted

B, C, S, D = 4, 5, 3, 6


def side(rows: int) -> tuple[Tensor, Tensor]:
    """Slots and the weights of slots, of some items."""
    slots = torch.randn(rows, S, D, dtype=torch.float64)
    return slots, torch.softmax(torch.randn(rows, S, dtype=torch.float64), dim=-1)


def vector(slots_SD: Tensor, own_S: Tensor, partner_S: Tensor) -> Tensor:
    """Equations 2 and 3: `X_i (a_i + a_j)`, slot by slot."""
    return sum(((own_S[k] + partner_S[k]) * slots_SD[k] for k in range(S)), torch.zeros(D))


def test_attention_equals_the_printed_equation() -> None:
    """Equation 1, with X of H x k; the weights of an item sum to 1."""
    attention = SlotAttention(D, 2).double()
    slots, _ = side(B)
    weights = attention(slots)
    for i in range(B):
        x_hk = slots[i].T
        scores = attention.w2.weight @ torch.tanh(attention.w1.weight @ x_hk)
        expected = torch.exp(scores[0]) / torch.exp(scores[0]).sum()
        torch.testing.assert_close(weights[i], expected)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(B, dtype=torch.float64))


def test_weights_of_a_pair_sum_to_two_and_the_two_does_not_matter() -> None:
    """A cosine must not depend on how the weights are scaled."""
    (x, a), (y, b) = side(B), side(C)
    torch.testing.assert_close(
        pair_weights(a, b).sum(dim=-1), torch.full((B, C), 2.0, dtype=torch.float64)
    )
    torch.testing.assert_close(pair_cosines(x, a / 2, y, b / 2), pair_cosines(x, a, y, b))


def test_gradients_of_the_attention_match_finite_differences() -> None:
    """Training would walk another way than the loss falls."""
    attention = SlotAttention(D, 2).double()
    (x, _), (y, _) = side(2), side(3)

    def scores(w1: Tensor, w2: Tensor) -> Tensor:
        changed = {"w1.weight": w1, "w2.weight": w2}
        a, b = (torch.func.functional_call(attention, changed, (slots,)) for slots in (x, y))
        return pair_cosines(x, a, y, b)

    assert torch.autograd.gradcheck(scores, (attention.w1.weight, attention.w2.weight))


def test_order_of_slots_does_not_matter() -> None:
    """Slots have no order; only the reshaping gives them one."""
    (x, a), (y, b) = side(B), side(C)
    order = torch.randperm(S)
    attention = SlotAttention(D, 2).double()
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])
    torch.testing.assert_close(own_vectors(x[:, order], a[:, order]), own_vectors(x, a))
    moved = pair_cosines(x[:, order], a[:, order], y[:, order], b[:, order])
    torch.testing.assert_close(moved, pair_cosines(x, a, y, b))


def test_scores_from_gram_blocks_equal_the_vectors_of_every_pair() -> None:
    """Section 3.1: forming H numbers for each pair of an evaluation would not fit in memory."""
    (x, a), (y, b) = side(B), side(C)
    x.requires_grad_()
    a.requires_grad_()
    ours = pair_cosines(x, a, y, b)
    loop = torch.stack(
        [
            torch.stack(
                [
                    cosine_similarity(vector(x[i], a[i], b[j]), vector(y[j], b[j], a[i]), dim=0)
                    for j in range(C)
                ]
            )
            for i in range(B)
        ]
    )
    torch.testing.assert_close(ours, loop, atol=1e-6, rtol=0)
    weights = torch.randn(B, C, dtype=torch.float64)
    for fast, slow in zip(
        torch.autograd.grad((ours * weights).sum(), (x, a)),
        torch.autograd.grad((loop * weights).sum(), (x, a)),
        strict=True,
    ):
        torch.testing.assert_close(fast, slow)
    for i in range(B):
        alone = sum(a[i, k] * x[i, k] for k in range(S))
        torch.testing.assert_close(own_vectors(x, a)[i], alone)


def test_a_pair_scores_the_same_from_either_side_and_in_tiles() -> None:
    """Evaluation computes scores in tiles; both directions rank by one matrix."""
    (x, a), (y, b) = side(B), side(C)
    whole = pair_cosines(x, a, y, b)
    torch.testing.assert_close(pair_cosines(y, b, x, a).T, whole)
    torch.testing.assert_close(pair_cosines(x[1:3], a[1:3], y[2:], b[2:]), whole[1:3, 2:])
    torch.testing.assert_close(pair_cosines(x, a, x, a).diagonal(), torch.ones(B).double())


def test_slots_are_the_columns_of_the_papers_reshaping() -> None:
    """Another order would read the weights of a saved model wrongly."""
    features = torch.arange(2 * 12.0).view(2, 12)
    slots = slots_of(features, 3)
    for i in range(2):
        for k in range(3):
            assert slots[i, k].tolist() == features[i].view(4, 3)[:, k].tolist()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.7])
def test_noise_sets_the_configured_share_to_zero(share: float) -> None:
    """Too little noise learns the identity, too much nothing (test 10)."""
    features = torch.rand(300, 400) + 1
    noisy = corrupted(features, share)
    zero = noisy == 0
    assert zero.float().mean().item() == pytest.approx(share, abs=0.01)
    torch.testing.assert_close(noisy[~zero], features[~zero])
    if share:
        assert not torch.equal(zero, corrupted(features, share) == 0), "drawn anew every time"
