"""NDCG against trec_eval, scikit-learn and every order of tied items."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from sklearn.metrics import ndcg_score

from crossray.core.errors import CrossRayError
from crossray.evaluation import ndcg
from crossray.evaluation.metrics import arrays
from crossray.evaluation.metrics.ndcg import ndcg_at_random


@pytest.fixture
def tied() -> tuple[np.ndarray, np.ndarray]:
    """Scores of both signs with many ties, and gains with an empty query."""
    rng = np.random.default_rng(0)
    gains = np.maximum(rng.integers(-3, 4, size=(20, 40)), 0)
    gains[6] = 0
    return rng.integers(-6, 6, size=(20, 40)) / 8, gains


@pytest.mark.parametrize("k", [1, 3, 10, 40, 100])
def test_stable_is_the_ndcg_of_trec_eval(tied: Any, k: int) -> None:
    """Graded relevance could not be compared with published numbers."""
    scores, gains = tied
    # trec_eval orders ties by descending name.
    run = {
        str(q): {f"{40 - i:04d}": float(score) for i, score in enumerate(row)}
        for q, row in enumerate(scores)
    }
    truth = {
        str(q): {f"{40 - i:04d}": int(gain) for i, gain in enumerate(row)}
        for q, row in enumerate(gains)
    }
    results = pytrec_eval.RelevanceEvaluator(truth, {f"ndcg_cut.{k}"}).evaluate(run)
    oracle = [results[str(q)][f"ndcg_cut_{k}"] for q in range(20)]
    values = ndcg(scores, gains, k)
    np.testing.assert_allclose(np.nan_to_num(values), oracle, rtol=1e-9)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [6])


@pytest.mark.parametrize("k", [None, 1, 5, 17])
def test_expected_is_the_ndcg_of_scikit_learn(tied: Any, k: int | None) -> None:
    """Ties would be averaged in another way than the usual one."""
    scores, gains = tied
    oracle = [ndcg_score(g[None], s[None], k=k) for s, g in zip(scores, gains, strict=True)]
    values = ndcg(scores, gains, k, ties="expected")
    np.testing.assert_allclose(np.nan_to_num(values), oracle, rtol=1e-9)


@pytest.mark.parametrize("scores", [[1, 1, 1, 1, 1], [2, 1, 1, 1, 0], [0, 0, 3, 1, 1]], ids=str)
@pytest.mark.parametrize("k", [None, 1, 2, 4])
def test_expected_is_the_mean_over_every_order(scores: list[int], k: int | None) -> None:
    """NDCG of hash codes would depend on the order of the database."""
    gains = np.array([[0, 1, 3, 0, 2], [1, 0, 0, 0, 0], [5, 5, 0, 1, 5]])
    scores_QN = np.broadcast_to(scores, gains.shape)
    stable = [ndcg(scores_QN[:, list(o)], gains[:, list(o)], k) for o in permutations(range(5))]
    np.testing.assert_allclose(
        ndcg(scores_QN, gains, k, ties="expected"), np.mean(stable, axis=0), rtol=1e-12
    )


@pytest.mark.parametrize("k", [None, 1, 2, 4, 9])
def test_chance_is_the_mean_over_every_order(k: int | None) -> None:
    """A system would be compared with a chance level that no ranking has."""
    gains = np.array([[0, 1, 3, 0, 2], [1, 0, 0, 0, 0], [5, 5, 0, 1, 5], [0, 0, 0, 0, 0]])
    falling = np.broadcast_to(np.arange(5, 0, -1), gains.shape)
    values = [ndcg(falling, gains[:, list(order)], k) for order in permutations(range(5))]
    np.testing.assert_allclose(ndcg_at_random(gains, k), np.mean(values, axis=0), rtol=1e-12)


def test_perfect_rankings_have_one_and_blocks_change_nothing(
    tied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perfect system would score below 1, or a large evaluation otherwise than a small one."""
    scores, gains = tied
    perfect = ndcg(gains, gains, 7)
    np.testing.assert_allclose(perfect[~np.isnan(perfect)], 1)
    whole = ndcg(scores, gains)
    assert np.nanmax(whole) < 1
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 130)
    np.testing.assert_allclose(ndcg(scores, gains), whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("gains", "message"),
    [
        (np.array([[0.5, 1.0]]), "whole numbers"),
        (np.array([[-1, 1]]), "whole numbers"),
        (np.array([[1, 0, 2]]), "do not fit"),
    ],
)
def test_gains_that_are_no_counts_are_refused(gains: np.ndarray, message: str) -> None:
    """Scores passed in the place of gains would give a plausible number."""
    with pytest.raises(CrossRayError, match=message):
        ndcg(np.array([[0.1, 0.2]]), gains)
    with pytest.raises(CrossRayError, match="at least 1"):
        ndcg(np.array([[0.1, 0.2]]), np.array([[1, 0]]), 0)
