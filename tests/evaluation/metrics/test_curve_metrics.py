"""Curves by rank and by Hamming radius against loops over their definitions and single metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    cmc,
    first_relevant_rank,
    hamming_counts,
    hamming_radius_curve,
    hamming_top_n_precision,
    mean_over_queries,
    mean_rank,
    precision_at_k,
    precision_recall_by_rank,
    recall_at_k,
    recall_fraction,
    share_label,
)


@pytest.fixture
def tied() -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and relevance with an empty query."""
    rng = np.random.default_rng(0)
    relevant = rng.random((12, 30)) < rng.uniform(0.05, 0.6, size=(12, 1))
    relevant[4] = False
    return rng.integers(-4, 4, size=(12, 30)), relevant


@pytest.fixture
def codes() -> tuple[np.ndarray, ...]:
    """Packed codes and labels of 9 queries and 60 items; one query has no label."""
    rng = np.random.default_rng(1)
    query_labels = rng.random((9, 4)) < 0.4
    query_labels[3] = False
    return (
        rng.integers(256, size=(9, 2), dtype=np.uint8),
        rng.integers(256, size=(60, 2), dtype=np.uint8),
        query_labels,
        rng.random((60, 4)) < 0.3,
    )


def distances(query_codes: np.ndarray, item_codes: np.ndarray) -> np.ndarray:
    """Differing bits of every query and item."""
    query_bits, item_bits = np.unpackbits(query_codes, axis=1), np.unpackbits(item_codes, axis=1)
    return (query_bits[:, None] != item_bits[None]).sum(axis=2)


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_the_curves_by_rank_are_the_single_metrics_at_every_rank(tied: Any, ties: Any) -> None:
    """A curve would contradict the headline metrics of the same report."""
    hit_rate, (precision, recall) = (
        cmc(*tied, ties=ties),
        precision_recall_by_rank(*tied, ties=ties),
    )
    for k in range(1, 31):
        for curve, metric in (
            (hit_rate, recall_at_k),
            (precision, precision_at_k),
            (recall, recall_fraction),
        ):
            np.testing.assert_allclose(curve[:, k - 1], metric(*tied, k, ties=ties), atol=1e-12)
    np.testing.assert_array_equal(hit_rate[:, :7], cmc(*tied, depth=7, ties=ties))
    np.testing.assert_array_equal(
        precision[:, :7], precision_recall_by_rank(*tied, depth=7, ties=ties)[0]
    )
    assert cmc(*tied, depth=99, ties=ties).shape == (12, 30)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["stable", "expected"]))
def test_cmc_rises_to_one_and_gives_the_mean_rank(seed: int, ties: Any) -> None:
    """The curve and the mean rank of one report would contradict each other."""
    rng = np.random.default_rng(seed)
    scores, relevant = rng.integers(0, 4, (5, 11)), rng.random((5, 11)) < 0.3
    relevant[:, rng.integers(11)] = True
    curve = cmc(scores, relevant, ties=ties)
    assert (np.diff(curve, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(curve[:, -1], 1)
    # The expectation of a rank is the sum over k of the chance that it is not yet reached.
    np.testing.assert_allclose(
        mean_rank(scores, relevant, ties=ties), (1 - curve).sum(axis=1) + 1, rtol=1e-9
    )


def test_the_mean_rank_skips_queries_without_a_relevant_item(tied: Any) -> None:
    """One empty query would turn the mean rank into NaN."""
    ranks = mean_rank(*tied)
    np.testing.assert_array_equal(ranks, first_relevant_rank(*tied))
    assert mean_over_queries(ranks) == np.nanmean(ranks)


def test_the_radius_curve_is_that_of_a_loop(codes: Any) -> None:
    """Precision of hash lookup would count queries that returned nothing as failures, or none."""
    curve = hamming_radius_curve(hamming_counts(*codes))
    distance, relevant = distances(*codes[:2]), share_label(*codes[2:])
    for radius in range(17):
        precision, recall, empty = [], [], 0
        for distance_N, relevant_N in zip(distance, relevant, strict=True):
            returned = distance_N <= radius
            found = (returned & relevant_N).sum()
            recall.append(found / relevant_N.sum() if relevant_N.any() else 0)
            if returned.any():
                precision.append(found / returned.sum())
            else:
                empty += 1
        assert curve.empty_D[radius] == empty
        np.testing.assert_allclose(curve.recall_D[radius], np.mean(recall), rtol=1e-12)
        oracle = np.mean(precision) if precision else np.nan
        np.testing.assert_allclose(curve.precision_D[radius], oracle, rtol=1e-12)
    assert curve.empty_D[0] == 9
    assert np.isnan(curve.precision_D[0])
    assert (np.diff(curve.recall_D) >= 0).all()
    assert (np.diff(curve.empty_D) <= 0).all()


def test_top_n_precision_is_precision_at_every_n(codes: Any) -> None:
    """The top-N curve of hash codes would differ from P@N of their distances."""
    precision = hamming_top_n_precision(hamming_counts(*codes), 70)
    scores, relevant = -distances(*codes[:2]), share_label(*codes[2:])
    for n in range(1, 71):
        np.testing.assert_allclose(
            precision[:, n - 1], precision_at_k(scores, relevant, n, ties="expected"), atol=1e-12
        )


def test_cut_offs_below_one_are_refused(tied: Any, codes: Any) -> None:
    """A depth of 0 would mean the whole database."""
    for call in (
        lambda: cmc(*tied, depth=0),
        lambda: precision_recall_by_rank(*tied, depth=0),
        lambda: hamming_top_n_precision(hamming_counts(*codes), 0),
    ):
        with pytest.raises(CrossRayError, match="at least 1"):
            call()
