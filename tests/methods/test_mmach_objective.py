"""Equation 10 of MMACH: autograd against the corrected gradient, which the printed one fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crossray.methods.mmach.label_features import enhanced_labels, modality_attention
from crossray.methods.mmach.losses import common_codes
from crossray.methods.mmach.objective import (
    Scale,
    Weight,
    common_code_loss,
    image_label_loss,
    text_label_loss,
)
from crossray.methods.mmach.triplets import Triplets, draw_triplets

N, K, ALPHA = 12, 8, 0.6
GAMMAS = (2.0, 1.0, 3.0, 0.5)


class Case:
    """Random outputs, labels and triplets; the gradient of (10) with respect to F, G, H."""

    def __init__(self, seed: int, weight: Weight) -> None:
        torch.manual_seed(seed)
        self.before = [torch.randn(N, K, dtype=torch.float64, requires_grad=True) for _ in range(3)]
        labels_NC = (torch.rand(N, 5) > 0.5).float()
        rng, rows = np.random.default_rng(seed), torch.arange(N)
        self.sets = [draw_triplets(labels_NC, rows, rows, rng, 50) for _ in range(4)]
        self.scale = Scale(weight, N, K)
        with torch.no_grad():
            self.codes = common_codes(*(x.tanh() for x in self.before))

    def loss(self, image: Tensor, text: Tensor, label: Tensor) -> Tensor:
        """Equation 10 over all rows."""
        of_label, of_image, of_label_too, of_text = self.sets
        images = image_label_loss(label, image, of_label, of_image, GAMMAS[:2], self.scale)
        texts = text_label_loss(label, text, of_label_too, of_text, GAMMAS[2:], self.scale)
        rows = torch.arange(N)
        codes = [
            common_code_loss(self.codes, x, rows, ALPHA, self.scale) for x in (image, text, label)
        ]
        return images + texts + sum(codes)

    def autograd(self) -> list[Tensor]:
        """With respect to F, G and H before their tanh."""
        return list(torch.autograd.grad(self.loss(*(x.tanh() for x in self.before)), self.before))


def closed_form(case: Case, **errors: Any) -> list[Tensor]:
    """The corrected gradient of section 4.1, in loops; `errors` bring printed mistakes back."""
    image, text, label = (x.detach().tanh() for x in case.before)
    grads = [torch.zeros(N, K, dtype=torch.float64) for _ in range(3)]
    of_label, of_image, of_label_too, of_text = case.sets
    for x, y, of_x, gamma in (
        (2, 0, of_label, GAMMAS[0]), (0, 2, of_image, GAMMAS[1]),
        (2, 1, of_label_too, GAMMAS[2]), (1, 2, of_text, GAMMAS[3]),
    ):  # fmt: skip
        values = (image, text, label)
        _add_set(values[x], values[y], grads[x], grads[y], of_x, gamma, case.scale, **errors)
    for x, grad in zip((image, text, label), grads, strict=True):
        pull = -2 * ALPHA * (case.codes - x) / (3 * N * K)
        grad += pull.sum(dim=0) if errors.get("all_rows") else pull
        grad *= 1 if errors.get("no_tanh") else 1 - x.square()
    return grads


def _add_set(
    x: Tensor, y: Tensor, x_grad: Tensor, y_grad: Tensor, triplets: Triplets, gamma: float,
    scale: Scale, factor: float = 2.0, hinge: bool = True, merged: bool = False,
    other_pair: bool = False, **_: Any,
) -> None:  # fmt: skip
    c = scale.triplets(len(triplets.anchor_A))
    rows = zip(*(part.tolist() for part in triplets[:3]), strict=True)
    for a, p1, p2 in rows:
        missing = (x[a] - y[p1]).square().sum() - (x[a] - y[p2]).square().sum() + gamma
        if hinge and missing <= 0:
            continue
        x_grad[a] += c * factor * (y[p2] - y[p1])
        y_grad[p1] += c * factor * (y[p1] - y[p2] if other_pair else y[p1] - x[a])
        y_grad[p2] += c * factor * (y[p2] - x[a] if merged else x[a] - y[p2])


def wrong(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest relative error among F, G and H."""
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).norm() / b.norm()) for a, b in pairs)


@pytest.mark.parametrize("weight", ["mean", "paper"])
@pytest.mark.parametrize("seed", range(3))
def test_autograd_is_the_corrected_closed_form(seed: int, weight: Weight) -> None:
    """A wrong gradient still trains something, only worse, and nobody would notice."""
    case = Case(seed, weight)
    assert wrong(case.autograd(), closed_form(case)) < 1e-9


@pytest.mark.parametrize("weight", ["mean", "paper"])
def test_autograd_is_what_finite_differences_say(weight: Weight) -> None:
    """The closed form itself could be wrong; central differences know no formula."""
    case = Case(3, weight)
    found, step = case.autograd(), 1e-6
    for which, grad in enumerate(found):
        for row, bit in ((0, 0), (4, 3), (N - 1, K - 1)):
            moved = [x.detach().clone() for x in case.before]
            values = []
            for sign in (1, -1):
                moved[which][row, bit] = case.before[which][row, bit].detach() + sign * step
                values.append(case.loss(*(x.tanh() for x in moved)))
            difference = float(values[0] - values[1]) / (2 * step)
            assert float(grad[row, bit]) == pytest.approx(difference, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    "error",
    [{"factor": 1.0}, {"merged": True}, {"other_pair": True}, {"hinge": False},
     {"all_rows": True}, {"no_tanh": True}],
    ids=lambda error: next(iter(error)),
)  # fmt: skip
@pytest.mark.parametrize("weight", ["mean", "paper"])
def test_printed_gradients_fail(error: dict[str, Any], weight: Weight) -> None:
    """Equations 11 to 13 as printed: each of their mistakes is seen, so the test above can fail."""
    case = Case(0, weight)
    assert wrong(closed_form(case, **error), case.autograd()) > 1e-3


def test_weights_of_the_sets() -> None:
    """As printed a set weighs 1 / (n^2 k), which its own size as n would get wrong."""
    assert Scale("paper", 10, 4).triplets(7) == 1 / 400
    assert Scale("mean", 10, 4).triplets(7) == 1 / 28
    assert Scale("mean", 10, 4).triplets(0) == 1 / 4
    assert Scale("paper", 10, 4).rows(5) == 1 / 120
    assert Scale("mean", 10, 4).rows(5) == 1 / 60


def test_a_hinge_that_rests_everywhere_leaves_the_codes_alone() -> None:
    """Only the quantisation moves outputs that keep every margin."""
    case = Case(0, "mean")
    outputs = [x.detach().tanh().requires_grad_() for x in case.before]
    image, _, label = outputs
    of_label, of_image, *_ = case.sets
    resting = (-1e3, -1e3)
    image_label_loss(label, image, of_label, of_image, resting, case.scale).backward()
    for x in (image, label):
        assert x.grad is not None
        assert not x.grad.any()


def unit() -> Tensor:
    """Five random rows of unit length."""
    return torch.nn.functional.normalize(torch.randn(5, 6, dtype=torch.float64), dim=1)


def test_attention_by_hand() -> None:
    """Equations 2 and 3 where they are easy: orthogonal, identical and unlabelled features."""
    label = unit()
    across = torch.linalg.svd(label, full_matrices=True).Vh[5:].expand(5, 6)
    torch.testing.assert_close(enhanced_labels(label, across, 2 * across), label)
    torch.testing.assert_close(enhanced_labels(label, label, label), 3 * label)
    torch.testing.assert_close(modality_attention(-2 * label, label), -torch.ones(5).double())
    none = torch.zeros(5, 6, dtype=torch.float64)
    torch.testing.assert_close(enhanced_labels(none, label, label), none)
    image, text = unit(), 3 * unit()
    for row, found in enumerate(enhanced_labels(label, image, text)):
        expected = label[row] + (label[row] @ image[row]) * image[row]
        expected = expected + (label[row] @ text[row]) / 3 * text[row]
        torch.testing.assert_close(found, expected)
