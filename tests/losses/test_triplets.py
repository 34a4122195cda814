"""Triplet losses against loops over the printed formulas and an independent package."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from crossray.losses.triplets import (
    TripletForm,
    TripletTerm,
    label_roles,
    label_triplet_loss,
    margin_term,
    mean_over_triplets,
    mean_squared_distances,
    ratio_term,
    triplet_term,
)
from crossray.methods.image_ranking import ImageRankingConfig
from support.tiny import IMAGE, LABELS, TEXT, batch_of

TERMS: list[TripletTerm] = [margin_term, partial(margin_term, margin=0.9), ratio_term]


def triplets_of(labels_BC: Tensor) -> list[tuple[int, int, int]]:
    """Every anchor, positive and negative, by the words of the definition."""
    items = range(len(labels_BC))
    names = [set(row.nonzero().flatten().tolist()) for row in labels_BC]
    return [
        (a, p, n)
        for a in items
        for p in items
        for n in items
        if len({a, p, n}) == 3 and names[a] & names[p] and not names[a] & names[n]
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("term", TERMS)
def test_mean_over_all_triplets(seed: int, term: TripletTerm) -> None:
    """A triplet that is left out, or counted twice, changes what training prefers."""
    generator = torch.Generator().manual_seed(seed)
    z_BD = torch.randn(9, 4, generator=generator)
    labels_BC = (torch.rand(9, 5, generator=generator) < 0.3).float()
    unit_BD = z_BD / z_BD.norm(dim=1, keepdim=True)
    values = [
        float(term(torch.dist(unit_BD[a], unit_BD[p]), torch.dist(unit_BD[a], unit_BD[n])))
        for a, p, n in triplets_of(labels_BC)
    ]
    assert values
    found = label_triplet_loss(z_BD, labels_BC, term)
    assert found.item() == pytest.approx(sum(values) / len(values), rel=1e-5)


def test_margin_is_that_of_another_package() -> None:
    """With one label an item the loss is the field's triplet margin loss."""
    generator = torch.Generator().manual_seed(4)
    z_BD, classes_B = torch.randn(12, 6, generator=generator), torch.arange(12) % 3
    theirs = TripletMarginLoss(margin=0.2, reducer=MeanReducer())(z_BD, classes_B)
    labels_BC = torch.nn.functional.one_hot(classes_B).float()
    ours = label_triplet_loss(z_BD, labels_BC, margin_term)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_ratio_is_a_quarter_at_equal_distances_and_falls_with_the_negative() -> None:
    """Equal distances must cost as the cited work says, or positives are pulled too weakly."""
    distances = torch.linspace(0, 5, 11)
    torch.testing.assert_close(ratio_term(distances, distances), torch.full((11,), 0.25))
    values = ratio_term(torch.ones(11), distances)
    assert (values.diff() < 0).all()
    expected = (math.exp(1.0) / (math.exp(1.0) + math.exp(5.0))) ** 2
    assert values[-1].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("form", "value"), [("margin", 0.3 - 1.1 + 0.9), ("ratio", 1 / (1 + math.exp(0.8)) ** 2)]
)
def test_a_form_is_known_by_its_name(form: TripletForm, value: float) -> None:
    """A recipe that asks for one loss would train by the other."""
    term = triplet_term(form, margin=0.9)
    assert term(torch.tensor(0.3), torch.tensor(1.1)).item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("form", ["margin", "ratio"])
def test_fine_tuning_by_triplets_of_pooled_features(form: TripletForm) -> None:
    """`image_ranking` would train an image tower by distances of something else."""
    torch.manual_seed(0)
    config = ImageRankingConfig(image=IMAGE, text=TEXT, labels=LABELS, triplet=form, margin=0.4)
    method, batch = config.build().eval(), batch_of(7)
    with torch.no_grad():
        pooled_BC = method.image_tower(batch.image.pixels_BCYX).mean(dim=(2, 3))
        unit_BC = pooled_BC / pooled_BC.norm(dim=1, keepdim=True)
        found = method.losses(batch)
    assert batch.labels_BC is not None
    values = []
    for a, p, n in triplets_of(batch.labels_BC):
        near, far = torch.dist(unit_BC[a], unit_BC[p]), torch.dist(unit_BC[a], unit_BC[n])
        hinge = max(0.0, float(near - far) + 0.4)
        ratio = 1 / (1 + math.exp(float(far - near))) ** 2
        values.append(hinge if form == "margin" else ratio)
    assert values
    assert list(found) == ["triplet"]
    assert found["triplet"].item() == pytest.approx(sum(values) / len(values), rel=1e-4)


def test_items_without_labels_are_negatives_only() -> None:
    """An unlabelled film would otherwise be drawn to other unlabelled ones."""
    roles = label_roles(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    assert roles.positive_BB.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert roles.negative_BB.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


def test_a_batch_without_triplets_has_no_gradient_and_no_nan() -> None:
    """One such batch would end the training of all weights."""
    z_BD = torch.zeros(3, 2, requires_grad=True)
    loss = label_triplet_loss(z_BD, torch.ones(3, 1), margin_term)
    loss.backward()
    assert loss.item() == 0
    assert z_BD.grad is not None
    assert not z_BD.grad.any()


def test_equal_items_have_a_finite_gradient() -> None:
    """Two equal images are common; the root of their distance 0 has no derivative."""
    z_BD = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    label_triplet_loss(z_BD, torch.tensor([[1.0, 0], [1, 0], [0, 1]]), ratio_term).backward()
    assert z_BD.grad is not None
    assert torch.isfinite(z_BD.grad).all()


def test_mean_squared_distances_by_hand() -> None:
    """The distance that ATH's margin of half the bits is measured in."""
    distances_BB = mean_squared_distances(torch.tensor([[0.0, 0.0], [3.0, 1.0]]))
    assert distances_BB.tolist() == [[0.0, 5.0], [5.0, 0.0]]
    loss = mean_over_triplets(
        torch.tensor([[0.0, 5.0, 2.0], [5.0, 0.0, 2.0], [2.0, 2.0, 0.0]]),
        label_roles(torch.tensor([[1.0, 0], [1, 0], [0, 1]])),
        partial(margin_term, margin=1.0),
    )
    assert loss.item() == pytest.approx(4.0)
