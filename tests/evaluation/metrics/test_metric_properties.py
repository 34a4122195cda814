"""What must hold for every ranking, on inputs that hypothesis searches for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.evaluation import (
    average_precision,
    first_relevant_rank,
    precision_at_k,
    recall_at_k,
    recall_fraction,
)

TIES = st.sampled_from(["stable", "expected"])
DENOMINATORS = st.sampled_from(["found", "total", "min"])


@st.composite
def rankings(draw: st.DrawFn, tie_free: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores and relevance of up to 6 queries and 12 items; every query has a relevant item."""
    queries, items = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if tie_free:
        scores = rng.permuted(np.tile(np.arange(items), (queries, 1)), axis=1)
    else:
        scores = rng.integers(0, draw(st.integers(1, 6)), size=(queries, items))
    relevant = rng.random((queries, items)) < draw(st.floats(0.05, 0.95))
    relevant[np.arange(queries), rng.integers(items, size=queries)] = True
    return scores - scores.mean(), relevant


@settings(max_examples=60, deadline=None)
@given(rankings(), TIES)
def test_hit_rate_and_recall_never_fall_as_k_grows(ranking, ties: str) -> None:  # type: ignore[no-untyped-def]
    """A recall curve would fall, and R@5 could be below R@1."""
    ks = range(1, ranking[0].shape[1] + 1)
    for metric in (recall_at_k, recall_fraction):
        curve = np.array([metric(*ranking, k, ties=ties) for k in ks])
        assert (np.diff(curve, axis=0) >= -1e-12).all()
        assert curve[-1] == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(rankings())
def test_recall_at_k_is_the_distribution_of_the_first_rank(ranking) -> None:  # type: ignore[no-untyped-def]
    """R@K and the median rank of one report would contradict each other."""
    ranks = first_relevant_rank(*ranking)
    for k in range(1, ranking[0].shape[1] + 1):
        np.testing.assert_array_equal(recall_at_k(*ranking, k), ranks <= k)


@settings(max_examples=60, deadline=None)
@given(rankings(), TIES, DENOMINATORS, st.integers(1, 14))
def test_values_stay_in_their_range(ranking, ties: str, denominator: str, k: int) -> None:  # type: ignore[no-untyped-def]
    """A percentage above 100 would be reported."""
    for values in (
        average_precision(*ranking, cutoff=k, denominator=denominator, ties=ties),
        recall_at_k(*ranking, k, ties=ties),
        precision_at_k(*ranking, k, ties=ties),
    ):
        assert (values >= -1e-12).all()
        assert (values <= 1 + 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(rankings())
def test_average_precision_is_one_exactly_for_perfect_rankings(ranking) -> None:  # type: ignore[no-untyped-def]
    """A perfect system would score below 1, or an imperfect one 1."""
    scores, relevant = ranking
    worst_hit = np.where(relevant, scores, np.inf).min(axis=1)
    best_miss = np.where(relevant, -np.inf, scores).max(axis=1)
    values = average_precision(scores, relevant, ties="expected")
    np.testing.assert_array_equal(np.isclose(values, 1.0, atol=1e-9), worst_hit > best_miss)


@settings(max_examples=60, deadline=None)
@given(rankings(tie_free=True), TIES, DENOMINATORS, st.integers(0, 2**32 - 1))
def test_the_order_of_the_database_does_not_matter_without_ties(  # type: ignore[no-untyped-def]
    ranking, ties: str, denominator: str, seed: int
) -> None:
    """Re-sharding or re-sorting a database would change its scores."""
    scores, relevant = ranking
    order = np.random.default_rng(seed).permutation(scores.shape[1])
    for metric, args in (
        (first_relevant_rank, {}),
        (recall_at_k, {"k": 3}),
        (recall_fraction, {"k": 3}),
        (precision_at_k, {"k": 3}),
        (average_precision, {"cutoff": 3, "denominator": denominator}),
    ):
        np.testing.assert_allclose(
            metric(scores[:, order], relevant[:, order], ties=ties, **args),
            metric(scores, relevant, ties=ties, **args),
        )


@settings(max_examples=40, deadline=None)
@given(rankings(), DENOMINATORS, st.integers(1, 12))
def test_the_order_of_the_database_never_matters_in_expectation(  # type: ignore[no-untyped-def]
    ranking, denominator: str, cutoff: int
) -> None:
    """The scores of hash codes would change with the order of the database."""
    scores, relevant = ranking
    args = {"cutoff": cutoff, "denominator": denominator, "ties": "expected"}
    np.testing.assert_allclose(
        average_precision(scores[:, ::-1], relevant[:, ::-1], **args),
        average_precision(scores, relevant, **args),
    )
