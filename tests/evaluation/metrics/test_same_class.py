"""Items of one class each, both directions and their mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    DirectionResult,
    average_precision,
    evaluate_direction,
    get_protocol,
    same_class,
)
from crossray.evaluation.evaluate import mean_of_directions

GPLDAN = get_protocol("gpldan")
IMAGES, CLASSES = 70, 4


@pytest.fixture
def data() -> dict[str, Any]:
    """Images of one class each with one or two texts, and scores that know a little."""
    rng = np.random.default_rng(60)
    class_N = rng.integers(CLASSES, size=IMAGES)
    text_rows = np.repeat(np.arange(IMAGES), rng.integers(1, 3, size=IMAGES))
    scores = rng.normal(size=(IMAGES, len(text_rows)))
    scores += class_N[:, None] == class_N[text_rows]
    return {"scores": scores, "classes": class_N, "rows": text_rows}


def both(data: dict[str, Any]) -> tuple[DirectionResult, DirectionResult]:
    """Both directions."""
    rows, ids = data["rows"], np.arange(IMAGES)
    labels = np.eye(CLASSES, dtype=bool)[data["classes"]]
    images, texts = (ids, labels), (ids[rows], labels[rows])

    def direction(scores: np.ndarray, queries: Any, items: Any) -> DirectionResult:
        return evaluate_direction(
            scores, queries[0], items[0], queries[1], items[1], GPLDAN, resamples=300
        )

    return direction(data["scores"], images, texts), direction(data["scores"].T, texts, images)


def test_an_item_of_the_class_is_relevant(data: Any) -> None:
    """Only the paired text would count, or another denominator would."""
    classes, rows = data["classes"], data["rows"]
    relevant = same_class(classes, classes[rows])
    for result, scores, own in zip(
        both(data), (data["scores"], data["scores"].T), (relevant, relevant.T), strict=True
    ):
        for denominator in ("found", "total", "min"):
            expected = average_precision(scores, own, cutoff=50, denominator=denominator)
            np.testing.assert_array_equal(result.per_query[f"mAP@50[{denominator}]"], expected)
        assert "queries_excluded_without_labels" not in result.counts


def test_the_table_by_class_cuts_where_the_protocol_does(data: Any) -> None:
    """The classes' values would not belong to the headline beside them."""
    result, _ = both(data)
    assert result.by_label is not None
    for one, queries in enumerate(result.by_label.queries_C):
        mask = data["classes"] == one
        assert queries == mask.sum()
        value = result.per_query["mAP@50[found]"][mask].mean()
        assert result.by_label.ap_C[one] == pytest.approx(value)
        # With one class an item both relevances are the same.
        assert result.by_label.protocol_ap_C[one] == pytest.approx(value)


def test_the_mean_is_that_of_the_two_directions(data: Any) -> None:
    """The column that the tables of this field are sorted by would be wrong."""
    results = both(data)
    mean = mean_of_directions(results, resamples=300)
    assert "median_rank" not in mean.metrics
    for name, value in mean.metrics.items():
        assert value == pytest.approx(sum(result.metrics[name] for result in results) / 2)
        assert mean.baseline[name] == pytest.approx(
            sum(result.baseline[name] for result in results) / 2
        )
        low, high = mean.intervals[name]
        assert low < value < high
        wide = [result.intervals[name][1] - result.intervals[name][0] for result in results]
        assert high - low < max(wide) * 1.05
    assert mean_of_directions([results[0]] * 2, resamples=300).intervals["mAP@all"] == (
        pytest.approx(results[0].intervals["mAP@all"])
    )


def test_excluded_queries_weigh_nothing_in_the_mean(data: Any) -> None:
    """A direction with more empty queries would count for less."""
    first, second = both(data)
    values = first.per_query["mAP@all"].copy()
    values[: IMAGES // 2] = np.nan
    first = replace(
        first,
        per_query={"mAP@all": values},
        metrics={"mAP@all": float(np.nanmean(values))},
        intervals={},
    )
    mean = mean_of_directions([first, second], resamples=2000)
    low, high = mean.intervals["mAP@all"]
    assert low < mean.metrics["mAP@all"] < high
    assert (low + high) / 2 == pytest.approx(mean.metrics["mAP@all"], abs=(high - low) / 4)


@pytest.mark.parametrize("count", [0, 2])
def test_an_item_of_no_or_two_classes_is_refused(data: Any, count: int) -> None:
    """One of its classes would be taken, whichever comes first."""
    labels = np.eye(CLASSES, dtype=bool)[data["classes"]]
    labels[5] = np.arange(CLASSES) < count
    ids = np.arange(IMAGES)
    with pytest.raises(CrossRayError, match=rf"exactly one label.*row 5 has {count}"):
        evaluate_direction(np.zeros((IMAGES, IMAGES)), ids, ids, labels, labels, GPLDAN)
