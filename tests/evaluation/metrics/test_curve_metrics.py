"""Curves by rank and by Hamming radius against loops over their definitions and single metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    first_relevant_rank,
    hamming_counts,
    hamming_radius_curve,
    hamming_top_n_precision,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    share_label,
)


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


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["stable", "expected"]))
def test_hit_rates_rise_to_one_and_give_the_ranks(seed: int, ties: Any) -> None:
    """The curve of a report would contradict its mean rank or its MRR."""
    rng = np.random.default_rng(seed)
    scores, relevant = rng.integers(0, 4, (5, 11)), rng.random((5, 11)) < 0.3
    relevant[:, rng.integers(11)] = True
    curve = np.stack([recall_at_k(scores, relevant, k, ties) for k in range(1, 12)], axis=1)
    assert (np.diff(curve, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(curve[:, -1], 1)
    # The expectation of a rank is the sum over k of the chance that it is not yet reached.
    np.testing.assert_allclose(
        first_relevant_rank(scores, relevant, ties=ties), (1 - curve).sum(axis=1) + 1, rtol=1e-9
    )
    here = np.diff(curve, axis=1, prepend=0)  # the chance that the first one stands at each rank
    np.testing.assert_allclose(
        reciprocal_rank(scores, relevant, ties=ties), here @ (1 / np.arange(1, 12)), rtol=1e-9
    )


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


def test_cut_offs_below_one_are_refused(codes: Any) -> None:
    """A depth of 0 would mean the whole database."""
    with pytest.raises(CrossRayError, match="at least 1"):
        hamming_top_n_precision(hamming_counts(*codes), 0)
