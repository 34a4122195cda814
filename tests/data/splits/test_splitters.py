"""Folds, held-out labels, few shots and fractions of annotation: disjoint, nested, balanced."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.core.errors import CrossRayError
from crossray.data.split import Split
from crossray.data.splits.fractions import (
    ANNOTATED_FRACTIONS,
    REPORT_COVERAGES,
    assign_folds,
    nested_subset,
)
from crossray.data.splits.held_out import (
    DRAWS,
    NEVER_HELD_OUT,
    SHOTS,
    choose_held_out,
    draw_few_shots,
    without_held_out,
)
from crossray.data.splits.items import SplitItems
from crossray.data.splits.splitters import ZeroShot

SHARES = sorted({*ANNOTATED_FRACTIONS, *REPORT_COVERAGES}, reverse=True)
LABELS = ["Edema", "Fracture", "Pneumonia", *NEVER_HELD_OUT]
CHEXPERT = [*LABELS, *(f"finding {n}" for n in range(9))]
ITEMS = st.lists(
    st.tuples(
        st.integers(0, 12).map(str),
        st.sampled_from(["train", "val", "test"]),
        st.lists(st.sampled_from(LABELS), max_size=3),
    ),
    min_size=1,
    max_size=40,
)
SEEDS = st.integers(0, 2**32)


def _study(items: int, seed: int) -> tuple[list[str], list[str], list[list[str]]]:
    """Items, their patients, and labels of which some are rare."""
    rng = random.Random(seed)
    shares = {name: 0.4 / (1 + number) for number, name in enumerate(CHEXPERT)}
    labels = [[name for name in CHEXPERT if rng.random() < shares[name]] for _ in range(items)]
    patients = [f"patient-{rng.randrange(items // 2)}" for _ in range(items)]
    return [f"item-{n}" for n in range(items)], patients, labels


def _share(labels: list[list[str]], mask: np.ndarray, name: str) -> float:
    return sum(name in names for names, kept in zip(labels, mask, strict=True) if kept) / sum(
        name in names for names in labels
    )


@given(items=ITEMS, folds=st.integers(2, 5), seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_no_patient_crosses_folds_and_no_fold_is_empty(
    items: list[Any], folds: int, seed: int
) -> None:
    """A model would be validated on patients it learnt from, or on nobody."""
    groups, labels = [row[0] for row in items], [row[2] for row in items]
    if len(set(groups)) < folds:
        with pytest.raises(CrossRayError, match="folds cannot be made"):
            assign_folds(groups, labels, folds, seed)
        return
    fold = assign_folds(groups, labels, folds, seed)
    assert len(set(zip(groups, fold.tolist(), strict=True))) == len(set(groups))
    assert set(fold.tolist()) == set(range(folds))
    order = random.Random(seed).sample(range(len(items)), len(items))
    shuffled = assign_folds([groups[n] for n in order], [labels[n] for n in order], folds, seed)
    assert shuffled.tolist() == fold[order].tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_have_like_numbers_of_items_and_of_every_label(seed: int) -> None:
    """A fold without a rare finding cannot measure it."""
    _, groups, labels = _study(1000, 3)
    fold = assign_folds(groups, labels, 5, seed)
    for number in range(5):
        assert (fold == number).mean() == pytest.approx(0.2, abs=0.02)
        for name in CHEXPERT:
            assert _share(labels, fold == number, name) == pytest.approx(0.2, abs=0.08)
    assert (fold != assign_folds(groups, labels, 5, seed + 10)).any()


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_held_out_labels_are_three_findings_of_fourteen(seed: int) -> None:
    """`No Finding` held out would take every healthy patient from training."""
    held_out = choose_held_out(CHEXPERT, seed)
    assert len(set(held_out)) == 3
    assert set(held_out) <= set(CHEXPERT) - set(NEVER_HELD_OUT)
    assert choose_held_out(CHEXPERT[::-1], seed) == held_out


def test_every_finding_can_be_held_out() -> None:
    """Repeating a study over seeds would hold out the same labels again."""
    chosen = Counter(name for seed in range(60) for name in choose_held_out(CHEXPERT, seed))
    assert set(chosen) == set(CHEXPERT) - set(NEVER_HELD_OUT)


def test_labels_are_drawn_from_those_that_test_can_measure() -> None:
    """A held-out label that no test item carries takes training items away for no figure."""
    labels = [["a"], ["only in training"], ["only in training"], ["b"], ["c"], ["c"]]
    splits: list[Split] = ["train", "train", "train", "val", "test", "test"]
    ids = [str(number) for number in range(6)]
    items = SplitItems(ids, ids, splits, ids, labels, [[]] * 6, np.ones(6, dtype=bool))
    for seed in range(20):
        assert ZeroShot(share=0.5, seed=seed).split(items).held_out == ("c",)
    with pytest.raises(CrossRayError, match=r"the label 'a'.* labels of test are c"):
        ZeroShot(held_out=("a",)).split(items)


@given(items=ITEMS, held_out=st.sets(st.sampled_from(LABELS[:3]), min_size=1))
@settings(max_examples=40, deadline=None)
def test_training_never_sees_a_held_out_label(items: list[Any], held_out: set[str]) -> None:
    """A zero-shot figure would be measured on findings that were learnt."""
    groups, splits, labels = zip(*items, strict=True)
    carried = {name for names in labels for name in names}
    if not held_out <= carried:
        with pytest.raises(CrossRayError, match="no item carries"):
            without_held_out(groups, splits, labels, sorted(held_out))
        return
    kept = without_held_out(groups, splits, labels, sorted(held_out))
    marked = {group for group, _, names in items if held_out & set(names)}
    for (group, split, _), stays in zip(items, kept, strict=True):
        assert stays == (split == "test" or group not in marked)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_few_shots_are_as_many_as_asked_nested_and_differ_by_draw(seed: int) -> None:
    """More shots would be other examples, or five draws five times the same."""
    ids, _, labels = _study(300, 4)
    held_out = CHEXPERT[:3]
    draws = []
    for draw in range(DRAWS):
        masks = [draw_few_shots(ids, labels, held_out, shots, draw, seed) for shots in SHOTS]
        for shots, mask in zip(SHOTS, masks, strict=True):
            chosen = [labels[n] for n in np.flatnonzero(mask)]
            assert all(sum(name in names for names in chosen) >= shots for name in held_out)
            assert shots <= mask.sum() <= shots * len(held_out)
        assert all((small <= large).all() for small, large in pairwise(masks))
        draws.append(tuple(np.flatnonzero(masks[-1])))
    assert len(set(draws)) == DRAWS
    backwards = draw_few_shots(ids[::-1], labels[::-1], held_out, 5, 0, seed)
    assert (backwards[::-1] == draw_few_shots(ids, labels, held_out, 5, 0, seed)).all()


@given(seed=SEEDS, items=st.integers(1, 400))
@settings(max_examples=15, deadline=None)
def test_nested_subsets_are_nested_and_of_the_size_asked_for(seed: int, items: int) -> None:
    """A curve over fractions would mix the effect of more pairs with that of other pairs."""
    ids, _, labels = _study(max(2, items), 5)
    masks = [nested_subset(ids, labels, share, seed) for share in SHARES]
    for share, mask in zip(SHARES, masks, strict=True):
        assert mask.sum() == round(share * len(ids))
    assert all((small <= large).all() for large, small in pairwise(masks))
    backwards = nested_subset(ids[::-1], labels[::-1], 0.3, seed)
    assert (backwards[::-1] == nested_subset(ids, labels, 0.3, seed)).all()


@pytest.mark.parametrize("share", SHARES)
def test_nested_subsets_keep_the_balance_of_classes(share: float) -> None:
    """Five per cent of the pairs would lack the rare findings altogether."""
    rng = random.Random(6)
    single = [[CHEXPERT[min(int(rng.expovariate(0.4)), 13)]] for _ in range(2000)]
    ids, _, several = _study(2000, 7)
    mask = nested_subset(ids, single, share, 1)
    counts = Counter(names[0] for names in single)
    kept = Counter(single[n][0] for n in np.flatnonzero(mask))
    assert all(abs(kept[name] - share * counts[name]) <= 2 for name in counts)
    mask = nested_subset(ids, several, share, 1)
    for name in CHEXPERT:
        assert _share(several, mask, name) == pytest.approx(share, abs=0.07)


def test_what_cannot_be_split_is_refused() -> None:
    """A typing error in a share or a label would silently train on everything."""
    with pytest.raises(CrossRayError, match="share is 5"):
        nested_subset(["a"], [[]], 5, 0)
    with pytest.raises(CrossRayError, match="share is 0"):
        nested_subset(["a"], [[]], 0, 0)
    with pytest.raises(CrossRayError, match="one label list an item"):
        nested_subset(["a"], [], 0.5, 0)
    with pytest.raises(CrossRayError, match="cannot be held out"):
        choose_held_out(NEVER_HELD_OUT, 0)
    with pytest.raises(CrossRayError, match="2 examples of 'Edema'"):
        draw_few_shots(["a"], [["Edema"]], ["Edema"], 2, 0, 0)
    with pytest.raises(CrossRayError, match="folds cannot be made"):
        assign_folds(["a", "b"], [[]], 2)
