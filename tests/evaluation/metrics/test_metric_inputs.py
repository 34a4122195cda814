"""Inputs that no metric may accept, and the rules for queries without a relevant item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    average_precision,
    first_relevant_rank,
    mean_over_queries,
    precision_at_k,
    recall_at_k,
    recall_fraction,
    reciprocal_rank,
)

SCORES = np.array([[0.1, 0.2], [0.3, 0.4]])
RELEVANT = np.array([[True, False], [False, True]])
ALL: list[tuple[Any, dict[str, Any]]] = [
    (recall_at_k, {"k": 1}),
    (recall_fraction, {"k": 1}),
    (precision_at_k, {"k": 1}),
    (first_relevant_rank, {}),
    (reciprocal_rank, {}),
    (average_precision, {}),
]


@pytest.mark.parametrize(("metric", "args"), ALL)
def test_every_metric_refuses_inputs_that_do_not_fit(metric: Any, args: dict[str, Any]) -> None:
    """NumPy would broadcast or sort a mistake into a plausible number."""
    nan = np.where(RELEVANT, np.nan, SCORES)
    for scores, relevant, message in (
        (SCORES, RELEVANT[:, :1], "do not fit"),
        (SCORES[:1], RELEVANT, "do not fit"),
        (SCORES[0], RELEVANT, "do not fit"),
        (nan, RELEVANT, "NaN"),
        (SCORES, RELEVANT.astype(float), "boolean"),
        (SCORES, RELEVANT[0], "boolean matrix"),
        (SCORES.astype(str), RELEVANT, "numeric"),
        (SCORES[:, :0], RELEVANT[:, :0], "at least one item"),
        (SCORES[:0], RELEVANT[:0], "no query"),
    ):
        with pytest.raises(CrossRayError, match=message):
            metric(scores, relevant, **args)
    with pytest.raises(CrossRayError, match="choose one of stable, expected"):
        metric(SCORES, RELEVANT, ties="random", **args)


@pytest.mark.parametrize("k", [0, -1, 1.0, True, "1"])
def test_a_cutoff_is_a_whole_number_from_one(k: Any) -> None:
    """A cut-off of 0 would mean the whole database, and -1 all but the last item."""
    for call in (
        lambda: recall_at_k(SCORES, RELEVANT, k),
        lambda: recall_fraction(SCORES, RELEVANT, k),
        lambda: precision_at_k(SCORES, RELEVANT, k),
        lambda: average_precision(SCORES, RELEVANT, cutoff=k),
    ):
        with pytest.raises(CrossRayError, match="at least 1"):
            call()


def test_an_unknown_denominator_is_refused() -> None:
    """A misspelt denominator would fall back to another one."""
    with pytest.raises(CrossRayError, match="choose one of found, total, min"):
        average_precision(SCORES, RELEVANT, denominator="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_a_query_without_a_relevant_item_is_marked(ties: Any) -> None:
    """Queries that cannot be answered would count as failures of the model."""
    nothing = np.zeros_like(RELEVANT)
    for values in (
        first_relevant_rank(SCORES, nothing, ties=ties),
        average_precision(SCORES, nothing, ties=ties),
        average_precision(SCORES, nothing, cutoff=1, denominator="found", ties=ties),
        recall_fraction(SCORES, nothing, 1, ties=ties),
    ):
        assert np.isnan(values).all()
    assert (recall_at_k(SCORES, nothing, 1, ties=ties) == 0).all()
    assert (precision_at_k(SCORES, nothing, 1, ties=ties) == 0).all()


def test_the_mean_skips_empty_queries_or_counts_them_as_zero() -> None:
    """The two published conventions for empty queries would be mixed up."""
    values = np.array([1.0, np.nan, 0.5, np.nan])
    assert mean_over_queries(values) == 0.75
    assert mean_over_queries(values, empty="zero") == 0.375
    assert np.isnan(mean_over_queries([np.nan]))
    with pytest.raises(CrossRayError, match="choose one of skip, zero"):
        mean_over_queries(values, empty="drop")  # type: ignore[arg-type]
