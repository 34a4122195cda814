"""MRR against every order of equal scores and against the `recip_rank` of trec_eval."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
import pytrec_eval

from crossray.evaluation import (
    PackedCodes,
    Protocol,
    evaluate_direction,
    mean_over_queries,
    metric_values,
    parse_metric,
    reciprocal_rank,
    share_label,
)


def over_all_orders(scores_N: list[int], relevant_N: list[bool]) -> float:
    """The mean of 1 / rank over every order that puts no lower score before a higher one."""
    orders = [
        order
        for order in permutations(range(len(scores_N)))
        if all(scores_N[i] >= scores_N[j] for i, j in pairwise(order))
    ]
    ranks = [1 + [relevant_N[item] for item in order].index(True) for order in orders]
    return float(sum(Fraction(1, rank) for rank in ranks) / len(ranks))


@pytest.mark.parametrize("seed", range(8))
def test_equal_scores_count_by_every_order(seed: int) -> None:
    """A model of equal scores would owe its MRR to the order of the files."""
    rng = np.random.default_rng(seed)
    scores, relevant = rng.integers(0, 3, (4, 6)), rng.random((4, 6)) < 0.4
    relevant[:, rng.integers(6)] = True
    oracle = [over_all_orders(*row) for row in zip(scores.tolist(), relevant.tolist(), strict=True)]
    np.testing.assert_allclose(reciprocal_rank(scores, relevant, "expected"), oracle, rtol=1e-12)


def test_without_ties_it_is_that_of_trec_eval() -> None:
    """The figure could not be compared with published ones."""
    rng = np.random.default_rng(1)
    scores, relevant = rng.normal(size=(20, 40)), rng.random((20, 40)) < 0.1
    relevant[:, 3] = True
    truth = {str(q): {str(n): int(r) for n, r in enumerate(row)} for q, row in enumerate(relevant)}
    run = {str(q): {str(n): float(s) for n, s in enumerate(row)} for q, row in enumerate(scores)}
    found = pytrec_eval.RelevanceEvaluator(truth, {"recip_rank"}).evaluate(run)
    oracle = [found[str(query)]["recip_rank"] for query in range(20)]
    np.testing.assert_allclose(reciprocal_rank(scores, relevant), oracle, rtol=1e-6)


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_an_empty_query_is_not_available(ties: Any) -> None:
    """A query that nothing answers would count as one that the model failed."""
    values = reciprocal_rank(np.zeros((2, 4)), np.eye(2, 4, dtype=bool) & [[True], [False]], ties)
    assert np.isnan(values[1])
    assert mean_over_queries(values) == values[0]
    assert mean_over_queries(values, "zero") == values[0] / 2


def test_chance_is_what_random_rankings_score() -> None:
    """A model that learned nothing would seem to have learned something."""
    relevant_Q = np.array([0, 1, 3, 3, 8])
    chance = parse_metric("MRR").at_random(relevant_Q, 8)
    harmonic = np.mean(1 / np.arange(1, 9))
    assert np.isnan(chance[0])
    np.testing.assert_allclose(chance[[1, 4]], [harmonic, 1.0])
    rng = np.random.default_rng(2)
    relevant = np.tile(np.arange(8) < 3, (20_000, 1))
    simulated = reciprocal_rank(rng.random((20_000, 8)), relevant).mean()
    np.testing.assert_allclose(chance[2:4], simulated, rtol=0.01)


def test_a_protocol_reports_it_of_scores_and_of_codes() -> None:
    """A metric would need code of its own for codes, for reports and for training."""
    rng = np.random.default_rng(3)
    codes = [rng.integers(0, 256, (n, 1), dtype=np.uint8) for n in (12, 50)]
    labels = [rng.random((n, 4)) < 0.4 for n in (12, 50)]
    ids = np.arange(12), np.arange(50)
    terms = ("share_label", "share_label", ("MRR",), "expected", "skip", "", ("MRR",))
    by_score = Protocol("scores", *terms)
    by_code = Protocol("codes", *terms, ranked_by="hamming", database="others")
    distance = np.bitwise_count(codes[0] ^ codes[1].T)
    of_scores = evaluate_direction(-distance.astype(float), *ids, *labels, by_score, resamples=50)
    of_codes = evaluate_direction(PackedCodes(*codes), *ids, *labels, by_code, resamples=50)
    oracle = reciprocal_rank(-distance.astype(float), share_label(*labels), "expected")
    np.testing.assert_allclose(of_scores.per_query["MRR"], oracle)
    np.testing.assert_allclose(of_codes.per_query["MRR"], oracle)
    assert of_codes.baseline["MRR"] == pytest.approx(of_scores.baseline["MRR"])
    assert (
        metric_values(PackedCodes(*codes), *ids, *labels, by_code)["MRR"] == of_codes.metrics["MRR"]
    )
