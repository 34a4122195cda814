"""The tie rules against loops, and against the mean over every order of the database."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from crossray.evaluation import (
    average_precision,
    first_relevant_rank,
    precision_at_k,
    recall_at_k,
    recall_fraction,
)
from crossray.evaluation.metrics import arrays as evaluation_arrays

METRICS: dict[str, Any] = {
    "first_relevant_rank": first_relevant_rank,
    **{f"R@{k}": partial(recall_at_k, k=k) for k in (1, 2, 4, 6)},
    **{f"recall_fraction@{k}": partial(recall_fraction, k=k) for k in (1, 2, 4)},
    **{f"P@{k}": partial(precision_at_k, k=k) for k in (1, 2, 4, 9)},
    **{
        f"AP@{cutoff}[{denominator}]": partial(
            average_precision, cutoff=cutoff, denominator=denominator
        )
        for cutoff in (None, 1, 2, 3, 4, 5)
        for denominator in ("found", "total", "min")
    },
}

# Six items: blocks of several sizes, before, across and after every cut-off.
SCORES = [
    [1, 1, 1, 1, 1, 1],
    [2, 1, 1, 1, 1, 0],
    [0, 0, 1, 1, 1, 2],
    [3, 3, 2, 2, 2, 1],
    [-1, -1, -2, -2, -3, -3],
    [6, 5, 4, 3, 2, 1],
]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("scores", SCORES, ids=str)
def test_expected_is_the_mean_over_every_order_of_the_database(
    name: str, scores: list[int]
) -> None:
    """Scores of hash codes, which tie all the time, would depend on the order of the database."""
    metric, items = METRICS[name], len(scores)
    relevant_QN = np.array(list(np.ndindex(*[2] * items)), dtype=bool)[1:]
    scores_QN = np.broadcast_to(np.array(scores), relevant_QN.shape)
    orders = [list(order) for order in permutations(range(items))]
    shuffled = [np.concatenate([x[:, o] for o in orders]) for x in (scores_QN, relevant_QN)]
    stable = metric(*shuffled).reshape(len(orders), -1)
    np.testing.assert_allclose(
        metric(scores_QN, relevant_QN, ties="expected"), stable.mean(axis=0), atol=1e-12
    )


def slow_ranking(scores: np.ndarray, relevant: np.ndarray) -> list[bool]:
    """Relevance by (-score, database index)."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return [bool(relevant[i]) for i in order]


def slow_average_precision(ranked: list[bool], cutoff: int, denominator: str) -> float:
    """The printed formula, rank by rank."""
    total = sum(
        sum(ranked[:r]) / r for r in range(1, min(cutoff, len(ranked)) + 1) if ranked[r - 1]
    )
    found = sum(ranked[:cutoff])
    over = {"found": max(found, 1), "total": sum(ranked), "min": min(sum(ranked), cutoff)}
    return total / over[denominator]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_stable_orders_by_score_then_database_index(dtype: type) -> None:
    """Equal scores would be ordered by chance, and runs could not be repeated."""
    rng = np.random.default_rng(7)
    scores = rng.integers(0, 5, size=(40, 17)).astype(dtype)
    relevant = rng.random((40, 17)) < 0.25
    relevant[:, 5] |= ~relevant.any(axis=1)
    ranked = [slow_ranking(s.astype(float), r) for s, r in zip(scores, relevant, strict=True)]
    np.testing.assert_array_equal(
        first_relevant_rank(scores, relevant), [row.index(True) + 1 for row in ranked]
    )
    for k in (1, 4, 17, 30):
        np.testing.assert_array_equal(
            recall_at_k(scores, relevant, k), [any(row[:k]) for row in ranked]
        )
        for denominator in ("found", "total", "min"):
            np.testing.assert_allclose(
                average_precision(scores, relevant, cutoff=k, denominator=denominator),
                [slow_average_precision(row, k, denominator) for row in ranked],
                rtol=1e-12,
            )


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_row_blocks_do_not_change_a_value(
    name: str, ties: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large evaluations, which run in many blocks, would differ from small ones."""
    rng = np.random.default_rng(8)
    scores, relevant = rng.integers(0, 6, size=(31, 20)), rng.random((31, 20)) < 0.1
    whole = METRICS[name](scores, relevant, ties=ties)
    monkeypatch.setattr(evaluation_arrays, "BLOCK_ELEMENTS", 65)
    np.testing.assert_array_equal(METRICS[name](scores, relevant, ties=ties), whole)


def test_an_excluded_item_scored_minus_infinity_comes_last() -> None:
    """Leave-one-out evaluation, which masks the query's own item, would break."""
    scores = np.array([[-np.inf, -5.0, 3.0]])
    assert first_relevant_rank(scores, np.array([[True, False, False]]))[0] == 3
    assert first_relevant_rank(scores, np.array([[False, True, False]]))[0] == 2
