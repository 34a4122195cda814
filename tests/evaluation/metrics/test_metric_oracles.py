"""Every metric against an independent package on random rankings.

trec_eval (pytrec-eval-terrier) breaks ties by descending document name, so documents named in
reverse make its order that of `ties="stable"`; scores are multiples of 1/8, exact in its floats.
"""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval
import torch
from sklearn.metrics import average_precision_score
from torchmetrics.functional import retrieval as torch_retrieval

from crossray.evaluation import (
    average_precision,
    first_relevant_rank,
    precision_at_k,
    recall_at_k,
    recall_fraction,
)

KS = (1, 3, 5, 10, 40, 200)


@pytest.fixture(params=[0, 1, 2], ids=lambda seed: f"seed{seed}")
def tied(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both signs with many ties, and relevance with two empty queries."""
    rng = np.random.default_rng(request.param)
    scores = rng.integers(-16, 16, size=(25, 60)) / 8
    relevant = rng.random((25, 60)) < rng.uniform(0.02, 0.5, size=(25, 1))
    relevant[[3, 17]] = False
    return scores, relevant


def trec(scores: np.ndarray, relevant: np.ndarray, measure: str, result: str) -> np.ndarray:
    """Values of trec_eval; queries without a relevant item are 0."""
    queries, items = scores.shape
    run = {
        str(q): {f"{items - i:06d}": float(scores[q, i]) for i in range(items)}
        for q in range(queries)
    }
    truth = {
        str(q): {f"{items - i:06d}": int(relevant[q, i]) for i in range(items)}
        for q in range(queries)
    }
    values = pytrec_eval.RelevanceEvaluator(truth, {measure}).evaluate(run)
    return np.array([values[str(q)][result] for q in range(queries)])


@pytest.mark.parametrize("k", KS)
def test_recall_at_k_is_the_success_of_trec_eval(tied, k: int) -> None:  # type: ignore[no-untyped-def]
    """The R@K of every report would be wrong."""
    np.testing.assert_allclose(
        recall_at_k(*tied, k), trec(*tied, f"success.{k}", f"success_{k}"), rtol=1e-12
    )


@pytest.mark.parametrize("k", KS)
def test_precision_at_k_is_that_of_trec_eval(tied, k: int) -> None:  # type: ignore[no-untyped-def]
    """Precision would be divided by another number than K."""
    np.testing.assert_allclose(
        precision_at_k(*tied, k), trec(*tied, f"P.{k}", f"P_{k}"), rtol=1e-12
    )


@pytest.mark.parametrize("k", KS)
def test_recall_fraction_is_the_recall_of_trec_eval(tied, k: int) -> None:  # type: ignore[no-untyped-def]
    """Fraction recall would be mixed up with the hit rate."""
    np.testing.assert_allclose(
        np.nan_to_num(recall_fraction(*tied, k)),
        trec(*tied, f"recall.{k}", f"recall_{k}"),
        rtol=1e-12,
    )
    assert np.isnan(recall_fraction(*tied, k)[[3, 17]]).all()


@pytest.mark.parametrize("metric", [first_relevant_rank])
def test_first_relevant_rank_is_the_inverse_of_trec_evals_reciprocal_rank(tied, metric) -> None:  # type: ignore[no-untyped-def]
    """The median rank would be the median of something else."""
    ranks = metric(*tied)
    np.testing.assert_allclose(
        np.nan_to_num(1 / ranks), trec(*tied, "recip_rank", "recip_rank"), rtol=1e-12
    )
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(ranks)), [3, 17])


def test_average_precision_over_all_is_the_map_of_trec_eval(tied) -> None:  # type: ignore[no-untyped-def]
    """mAP@all of every report would be wrong, whichever denominator is named."""
    oracle = trec(*tied, "map", "map")
    for denominator in ("found", "total", "min"):
        values = average_precision(*tied, denominator=denominator)
        np.testing.assert_allclose(np.nan_to_num(values), oracle, rtol=1e-12)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [3, 17])


@pytest.mark.parametrize("k", KS)
def test_average_precision_over_total_is_the_map_cut_of_trec_eval(tied, k: int) -> None:  # type: ignore[no-untyped-def]
    """mAP@R[total] could not be compared with published numbers."""
    np.testing.assert_allclose(
        np.nan_to_num(average_precision(*tied, cutoff=k, denominator="total")),
        trec(*tied, f"map_cut.{k}", f"map_cut_{k}"),
        rtol=1e-12,
    )


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_average_precision_over_found_is_that_of_torchmetrics(k: int) -> None:
    """mAP@R[found] could not be compared with published numbers.

    The scores are positive because torchmetrics drops relevant items whose score is not.
    """
    rng = np.random.default_rng(3)
    scores, relevant = rng.random((30, 50)) + 1.5, rng.random((30, 50)) < 0.1
    relevant[:, 0] |= ~relevant.any(axis=1)
    oracle = [
        torch_retrieval.retrieval_average_precision(
            torch.tensor(row), torch.tensor(target), top_k=k
        ).item()
        for row, target in zip(scores, relevant, strict=True)
    ]
    found = average_precision(scores, relevant, cutoff=k, denominator="found")
    np.testing.assert_allclose(found, oracle, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_min_is_total_with_another_denominator(k: int) -> None:
    """mAP@R[min] would not divide by min(relevant, R)."""
    rng = np.random.default_rng(4)
    scores, relevant = rng.normal(size=(30, 50)), rng.random((30, 50)) < 0.3
    relevant[:, 0] |= ~relevant.any(axis=1)
    oracle = trec(np.argsort(np.argsort(scores)), relevant, f"map_cut.{k}", f"map_cut_{k}")
    total = relevant.sum(axis=1)
    np.testing.assert_allclose(
        average_precision(scores, relevant, cutoff=k, denominator="min"),
        oracle * total / np.minimum(total, k),
        rtol=1e-12,
    )


def test_tie_free_average_precision_is_that_of_scikit_learn() -> None:
    """Negative similarities would be treated as irrelevant."""
    rng = np.random.default_rng(5)
    scores, relevant = rng.normal(size=(20, 40)) - 2, rng.random((20, 40)) < 0.2
    relevant[:, 0] |= ~relevant.any(axis=1)
    oracle = [average_precision_score(y, s) for y, s in zip(relevant, scores, strict=True)]
    for ties in ("stable", "expected"):
        np.testing.assert_allclose(
            average_precision(scores, relevant, ties=ties), oracle, rtol=1e-12
        )


@pytest.mark.parametrize("k", [1, 5, 20])
def test_hit_rate_and_recall_keep_their_names_of_torchmetrics(k: int) -> None:
    """`recall_at_k` would silently be what information retrieval calls recall: the fraction."""
    rng = np.random.default_rng(6)
    scores, relevant = rng.random((12, 30)) + 1, rng.random((12, 30)) < 0.15
    relevant[:, 0] |= ~relevant.any(axis=1)
    rows = [(torch.tensor(s), torch.tensor(y)) for s, y in zip(scores, relevant, strict=True)]
    hit_rate = [torch_retrieval.retrieval_hit_rate(*row, top_k=k).item() for row in rows]
    recall = [torch_retrieval.retrieval_recall(*row, top_k=k).item() for row in rows]
    np.testing.assert_array_equal(recall_at_k(scores, relevant, k), hit_rate)
    np.testing.assert_allclose(recall_fraction(scores, relevant, k), recall, rtol=1e-6)
    assert np.mean(hit_rate) > np.mean(recall)
