"""Average precision that asks for the right place, against a loop over its definition."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.core.errors import CrossRayError
from crossray.evaluation import IOU_THRESHOLDS, average_precision, grounded_average_precision


def slow(scores: np.ndarray, relevant: np.ndarray, iou: np.ndarray, threshold: float) -> float:
    """Rank by rank over the items that can be judged."""
    judged = [i for i in range(len(scores)) if not (relevant[i] and np.isnan(iou[i]))]
    total = sum(bool(relevant[i]) for i in judged)
    if total == 0:
        return np.nan
    found, value = 0, 0.0
    for rank, i in enumerate(sorted(judged, key=lambda i: (-scores[i], i)), start=1):
        if relevant[i] and iou[i] >= threshold:
            found += 1
            value += found / rank
    return value / total


def draw(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tied scores, relevance and overlaps, a third of them unknown."""
    rng = np.random.default_rng(seed)
    iou = rng.random((8, 20))
    iou[rng.random(iou.shape) < 0.3] = np.nan
    return rng.integers(0, 6, size=(8, 20)), rng.random((8, 20)) < 0.25, iou


@pytest.mark.parametrize("threshold", [0.0, *IOU_THRESHOLDS, 1.0])
def test_the_value_is_that_of_a_loop(threshold: float) -> None:
    """Items found for the wrong reason would count, or items without boxes against the model."""
    for seed in range(10):
        inputs = draw(seed)
        oracle = [slow(*row, threshold) for row in zip(*inputs, strict=True)]
        values = grounded_average_precision(*inputs, threshold)
        np.testing.assert_allclose(values, oracle, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["stable", "expected"]))
def test_it_never_grows_with_the_threshold(seed: int, ties: Any) -> None:
    """A stricter demand on the place would look like a better model."""
    inputs = draw(seed)
    values = [grounded_average_precision(*inputs, t, ties=ties) for t in (0.0, *IOU_THRESHOLDS)]
    for looser, stricter in pairwise(values):
        np.testing.assert_array_equal(np.isnan(looser), np.isnan(stricter))
        judged = ~np.isnan(looser)
        assert (stricter[judged] <= looser[judged] + 1e-12).all()


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_perfect_places_leave_average_precision_as_it_is(ties: Any) -> None:
    """Grounded and ordinary mAP of one report would not be comparable."""
    scores, relevant, _ = draw(1)
    np.testing.assert_allclose(
        grounded_average_precision(scores, relevant, np.ones(scores.shape), 0.7, ties=ties),
        average_precision(scores, relevant, ties=ties),
        rtol=1e-12,
    )


def test_without_boxes_it_is_not_available_and_without_the_place_zero() -> None:
    """A data set without boxes would report that the model looks at the wrong places."""
    scores, relevant = np.array([[2.0, 1.0]]), np.array([[True, False]])
    assert np.isnan(grounded_average_precision(scores, relevant, np.full((1, 2), np.nan))).all()
    assert grounded_average_precision(scores, relevant, np.array([[0.1, 1.0]]))[0] == 0


def test_overlaps_outside_their_range_are_refused() -> None:
    """Overlaps in percent would all pass the threshold."""
    scores, relevant = np.array([[2.0, 1.0]]), np.array([[True, False]])
    for iou, threshold, message in (
        (np.array([[50.0, 1.0]]), 0.5, "in \\[0, 1\\]"),
        (np.array([[0.5, 1.0]]), 50, "in \\[0, 1\\]"),
        (np.array([[0.5]]), 0.5, "do not fit"),
    ):
        with pytest.raises(CrossRayError, match=message):
            grounded_average_precision(scores, relevant, iou, threshold)
