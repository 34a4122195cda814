"""Codes judged from counts at each distance against the same distances ranked as scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    DirectionResult,
    PackedCodes,
    average_precision,
    evaluate_direction,
    get_protocol,
    hamming_counts,
)
from crossray.evaluation.metrics.ranking import order

MMACH = replace(get_protocol("mmach"), metrics=("R@1", "R@5", "R@1000", "mAP@all"))
QUERIES, ITEMS, BITS, LABELS = 30, 150, 16, 5


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    """Codes that tie a lot; a query without labels and one that nothing answers."""
    rng = np.random.default_rng(70)
    centre = rng.random(BITS) < 0.5
    query, item = (
        np.packbits(centre ^ (rng.random((n, BITS)) < 0.15), axis=1) for n in (QUERIES, ITEMS)
    )
    query_labels, item_labels = (rng.random((n, LABELS)) < 0.3 for n in (QUERIES, ITEMS))
    query_labels[~query_labels[:, [0, 1, 3, 4]].any(axis=1), 0] = True
    query_labels[4] = False
    item_labels[:, 2] = False
    query_labels[9] = np.arange(LABELS) == 2
    return {
        "query_codes": query,
        "item_codes": item,
        "query_ids": np.arange(QUERIES),
        "item_ids": np.arange(ITEMS),
        "query_labels": query_labels,
        "item_labels": item_labels,
    }


def distances(data: dict[str, np.ndarray]) -> np.ndarray:
    """Differing bits, one pair at a time."""
    bits = [np.unpackbits(data[name], axis=1) for name in ("query_codes", "item_codes")]
    return np.array([[int((q != x).sum()) for x in bits[1]] for q in bits[0]])


def evaluate_codes(query_codes: Any, item_codes: Any, **rest: Any) -> DirectionResult:
    """Codes as they are."""
    return evaluate_direction(PackedCodes(query_codes, item_codes), **rest)


def as_scores(data: dict[str, np.ndarray], **change: Any) -> DirectionResult:
    """The same ranking given as scores."""
    protocol = replace(MMACH, ranked_by="scores", database="same", **change)
    return evaluate_direction(
        -distances(data).astype(float), data["query_ids"], data["item_ids"], data["query_labels"],
        data["item_labels"], protocol, resamples=50,
    )  # fmt: skip


@pytest.mark.parametrize("empty", ["zero", "skip"])
def test_codes_score_what_their_distances_score(data: Any, empty: Any) -> None:
    """The fast path would report other numbers than the one that sorts."""
    fast = evaluate_codes(**data, protocol=replace(MMACH, empty=empty), resamples=50)
    slow = as_scores(data, empty=empty)
    for name in ("mAP@all", "R@1", "R@5", "R@1000"):
        np.testing.assert_allclose(fast.per_query[name], slow.per_query[name], rtol=1e-9)
        assert fast.metrics[name] == pytest.approx(slow.metrics[name])
        assert fast.baseline[name] == pytest.approx(slow.baseline[name])
        assert fast.intervals[name] == pytest.approx(slow.intervals[name])
    assert fast.counts == slow.counts
    for name in ("k", "hit_rate", "hit_rate_at_random", "precision", "recall"):
        np.testing.assert_allclose(getattr(fast.curves, name), getattr(slow.curves, name))


def test_a_query_that_nothing_answers_counts_zero_and_an_unlabelled_one_not(data: Any) -> None:
    """Values would not be comparable with the published evaluations of hashing."""
    result = evaluate_codes(**data, protocol=MMACH, resamples=50)
    values = result.per_query["mAP@all"]
    assert np.flatnonzero(np.isnan(values)).tolist() == [4]
    assert values[9] == 0
    assert result.metrics["mAP@all"] == pytest.approx(np.nansum(values) / (QUERIES - 1))
    assert result.counts["queries_excluded_without_labels"] == 1
    assert result.counts["queries_without_relevant_item"] == 2


def test_lookup_curves_are_loops_over_radius_and_rank(data: Any) -> None:
    """The plots of a report would not show what a hash table returns."""
    lookup = evaluate_codes(**data, protocol=MMACH, resamples=50).lookup
    assert lookup is not None
    relevant = (data["query_labels"][:, None] & data["item_labels"][None]).any(axis=2)
    distance = distances(data)
    judged = [query for query in range(QUERIES) if query != 4]
    for radius in range(BITS + 1):
        precision, recall, empty = [], [], 0
        for query in judged:
            near = distance[query] <= radius
            found = int(relevant[query, near].sum())
            empty += not near.any()
            if near.any():
                precision.append(found / near.sum())
            recall.append(found / max(relevant[query].sum(), 1))
        assert lookup.radius.empty_D[radius] == empty
        assert lookup.radius.recall_D[radius] == pytest.approx(np.mean(recall))
        if precision:
            assert lookup.radius.precision_D[radius] == pytest.approx(np.mean(precision))
    assert len(lookup.top_n_R) == ITEMS, "the database ends before 1000"
    rng = np.random.default_rng(71)
    draws = []
    for _ in range(300):  # equal distances in random order
        jitter = distance + rng.random(distance.shape) / 2
        ranked = np.take_along_axis(relevant, jitter.argsort(axis=1), axis=1)[judged]
        draws.append((ranked.cumsum(axis=1) / np.arange(1, ITEMS + 1)).mean(axis=0))
    np.testing.assert_allclose(lookup.top_n_R, np.mean(draws, axis=0), atol=0.02)
    assert lookup.precision_at_random == pytest.approx(relevant[judged].mean())
    assert lookup.top_n_R[-1] == pytest.approx(lookup.precision_at_random)


def test_each_label_is_judged_by_distance(data: Any) -> None:
    """The table by label would rank something else than the codes."""
    table = evaluate_codes(**data, protocol=MMACH, resamples=50).by_label
    assert table is not None
    for label in (0, 1, 3, 4):
        scores = -distances(data)[data["query_labels"][:, label]]
        relevant = np.tile(data["item_labels"][:, label], (len(scores), 1))
        expected = average_precision(scores, relevant, ties="expected").mean()
        assert table.ap_C[label] == pytest.approx(expected)
    assert np.isnan(table.ap_C[2])
    slow = as_scores(data).by_label
    assert slow is not None
    for name in ("queries_C", "items_C", "chance_C", "protocol_ap_C"):
        np.testing.assert_allclose(getattr(table, name), getattr(slow, name), err_msg=name)


def test_cuts_are_those_of_the_sorted_ranking(data: Any) -> None:
    """A metric of the first K would read another block than the one of rank K."""
    counts = hamming_counts(
        data["query_codes"], data["item_codes"], data["query_labels"], data["item_labels"]
    )
    relevant = (data["query_labels"][:, None] & data["item_labels"][None]).any(axis=2)
    ranking = order(-distances(data), "expected").place(relevant)
    for k in (1, 2, 7, 50, ITEMS, ITEMS + 5):
        fast, slow = counts.cut(k), ranking.cut(k)
        for name in ("taken_Q", "size_Q", "hits_Q", "before_Q"):
            np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


def test_scores_and_codes_are_not_mixed_up(data: Any) -> None:
    """Codes would be judged as scores, with ties in the order of the database."""
    with pytest.raises(CrossRayError, match="'hier' ranks scores"):
        evaluate_codes(**data, protocol=get_protocol("hier"))
    with pytest.raises(CrossRayError, match="'mmach' ranks codes"):
        evaluate_direction(
            -distances(data), data["query_ids"], data["item_ids"], data["query_labels"],
            data["item_labels"], MMACH,
        )  # fmt: skip
    with pytest.raises(CrossRayError, match="no labels"):
        evaluate_codes(**{**data, "query_labels": None}, protocol=MMACH)
