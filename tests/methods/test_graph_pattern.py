"""The graph pattern loss against loops over its printed equations (4 to 9)."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from crossray.methods.gpldan.losses import (
    Deviation,
    PairDistances,
    cosine_distances,
    graph_pattern_loss,
    mutual_distance_loss,
    original_distances,
    paired_distance_loss,
    unpaired_distance_loss,
    unpaired_distances,
)

N = 6
ALL = list(product(range(N), repeat=2))
OTHERS = [(i, j) for i, j in ALL if i != j]


def matrices() -> PairDistances:
    """Random distances with gradient; those within a modality are symmetric."""
    parts = [torch.rand(N, N, dtype=torch.float64) for _ in range(3)]
    parts[1:] = [(part + part.T).fill_diagonal_(0.0) for part in parts[1:]]
    return PairDistances(*(part.requires_grad_() for part in parts))


def inputs() -> tuple[Tensor, Tensor]:
    """Features of both modalities, of different widths."""
    return torch.randn(N, 9, dtype=torch.float64), torch.randn(N, 4, dtype=torch.float64)


def agree(ours: Tensor, loop: Tensor, of: PairDistances) -> None:
    """Equal in value and in every gradient."""
    torch.testing.assert_close(ours, loop)
    for fast, slow in zip(
        torch.autograd.grad(ours, of, allow_unused=True),
        torch.autograd.grad(loop, of, allow_unused=True),
        strict=True,
    ):
        assert (fast is None) == (slow is None)
        if fast is not None and slow is not None:
            torch.testing.assert_close(fast, slow)


def unpaired_loop(l_BB: Tensor, d_BB: Tensor, i: int, deviation: Deviation) -> Tensor:
    """Equation 6, with the absolute value."""
    total = l_BB.new_zeros(())
    for j in range(N):
        if j != i:
            off = l_BB[i, j] - d_BB[i, j]
            total = total + (abs(off) if deviation == "absolute" else off**2)
    return total / N


def test_distances_of_inputs_equal_the_printed_equation() -> None:
    """Wrong targets would shape the whole space."""
    u, c = inputs()
    d_ori = torch.zeros(N, N, dtype=torch.float64)
    for i, j in OTHERS:
        d_u = 1 - cosine_similarity(u[i], u[j], dim=0)
        d_c = 1 - cosine_similarity(c[i], c[j], dim=0)
        d_ori[i, j] = torch.sqrt(d_u * d_c + 1e-12)
    mean = sum(d_ori[i, j] for i, j in OTHERS) / len(OTHERS)
    target = original_distances(u, c)
    torch.testing.assert_close(target, d_ori / mean)
    torch.testing.assert_close(target, target.T)
    assert target.diagonal().abs().max() == 0
    assert sum(target[i, j] for i, j in OTHERS).item() / len(OTHERS) == pytest.approx(1.0)


def test_cosine_distance_is_the_right_hand_form() -> None:
    """The misprint, (1 - a.b) / (|a| |b|), would depend on lengths."""
    u, _ = inputs()
    torch.testing.assert_close(cosine_distances(u), cosine_distances(7 * u))
    for i, j in OTHERS:
        expected = 1 - (u[i] @ u[j]) / (u[i].norm() * u[j].norm())
        torch.testing.assert_close(cosine_distances(u)[i, j], expected)


def test_equal_items_have_finite_targets_and_gradients() -> None:
    """The root of zero has an infinite gradient; a photo may stand in a batch twice."""
    u = torch.randn(1, 5, dtype=torch.float64).repeat(4, 1).requires_grad_()
    target = original_distances(u, torch.randn(4, 3, dtype=torch.float64))
    assert torch.isfinite(target).all()
    assert torch.isfinite(torch.autograd.grad(target.sum(), u)[0]).all()


def test_paired_distance_equals_the_printed_equation() -> None:
    """Equation 4: only a text's own image counts."""
    l_p = matrices()
    loop = sum((l_p.image_text_BB[i, i] for i in range(N)), torch.zeros(())) / N
    agree(paired_distance_loss(l_p.image_text_BB), loop, l_p)


@pytest.mark.parametrize("deviation", ["absolute", "squared"])
def test_unpaired_distances_equal_the_printed_equation(deviation: Deviation) -> None:
    """Equations 6 and 7: three terms, each n - 1 others over n."""
    l_p, d = matrices(), original_distances(*inputs())
    vt, vv, tt = l_p
    one = [unpaired_loop(vt, d, i, deviation) for i in range(N)]
    torch.testing.assert_close(unpaired_distances(vt, d, deviation), torch.stack(one))
    loop = torch.zeros((), dtype=torch.float64)
    for i in range(N):
        loop = loop + sum(unpaired_loop(part, d, i, deviation) for part in (vt, vv, tt)) / N
    agree(unpaired_distance_loss(l_p, d, deviation), loop, l_p)


def test_mutual_distance_equals_the_printed_equation() -> None:
    """Equation 8."""
    l_p = matrices()
    vt, vv, tt = l_p
    loop = torch.zeros((), dtype=torch.float64)
    for i, j in OTHERS:
        loop = loop + abs(vt[i, j] - vv[i, j]) + abs(vt[i, j] - tt[i, j]) + abs(vv[i, j] - tt[i, j])
    agree(mutual_distance_loss(l_p), loop / len(OTHERS), l_p)


def test_whole_loss_is_the_weighted_sum_and_leaves_out_what_weighs_nothing() -> None:
    """Equation 9; the ablation switches terms off by their weights."""
    l_p, d = matrices(), original_distances(*inputs())
    terms = graph_pattern_loss(l_p, d, 0.3, 0.7)
    expected = (
        paired_distance_loss(l_p.image_text_BB)
        + 0.3 * unpaired_distance_loss(l_p, d)
        + 0.7 * mutual_distance_loss(l_p)
    )
    torch.testing.assert_close(sum(terms.values()), expected)
    assert graph_pattern_loss(l_p, d, 0.0, 0.7).keys() == {"paired", "mutual"}
    assert graph_pattern_loss(l_p, d, 0.3, 0.0).keys() == {"paired", "unpaired"}


def test_mutual_distance_of_equal_matrices_is_zero_and_order_does_not_matter() -> None:
    """The term asks for agreement, whatever the order of a batch (test 7)."""
    l_p = matrices()
    same = PairDistances(*[l_p.image_text_BB] * 3)
    assert mutual_distance_loss(same).item() == 0.0
    order = torch.randperm(N)
    permuted = PairDistances(*(part[order][:, order] for part in l_p))
    torch.testing.assert_close(mutual_distance_loss(permuted), mutual_distance_loss(l_p))


def test_targets_matter_only_with_the_absolute_value() -> None:
    """As printed, equation 6 pulls all pairs together whatever the inputs are (test 5)."""
    x = torch.randn(N, 5, dtype=torch.float64).requires_grad_()
    first, second = original_distances(*inputs()), original_distances(*inputs())
    l_BB = cosine_distances(x)

    def gradient(loss: Tensor) -> Tensor:
        return torch.autograd.grad(loss, x, retain_graph=True)[0]

    for deviation in ("absolute", "squared"):
        moved = [gradient(unpaired_distances(l_BB, d, deviation).mean()) for d in (first, second)]
        assert not torch.allclose(*moved)
    printed = [gradient(sum((l_BB - d)[i, j] for i, j in OTHERS) / N**2) for d in (first, second)]
    torch.testing.assert_close(*printed)
