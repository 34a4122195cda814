"""Images that ask for images: every number against loops that leave the query out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from typing import Any

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import DirectionResult, evaluate_direction, get_protocol, hamming_counts
from crossray.evaluation.hamming.lookup import counts_of_others
from crossray.evaluation.metrics import arrays

MMDL = get_protocol("mmdl")
ITEMS, LABELS = 40, 6


@pytest.fixture
def films() -> tuple[np.ndarray, np.ndarray]:
    """Scores, highest of each item with itself, and labels; a rare one, a lone one and two none."""
    rng = np.random.default_rng(50)
    labels = rng.random((ITEMS, LABELS)) < [0.5, 0.4, 0.3, 0.3, 0.1, 0.0]
    labels[~labels.any(axis=1), 0] = True
    labels[7], labels[11] = False, False
    labels[3] = [False] * 5 + [True]  # nothing answers it but itself
    scores = rng.normal(size=(ITEMS, ITEMS)).round(1)  # with ties
    scores[np.diag_indices(ITEMS)] = 9
    return scores, labels


def evaluate(films: Any, **change: Any) -> DirectionResult:
    """The films under the protocol, a few resamples."""
    scores, labels = films
    ids = np.arange(ITEMS)
    protocol = replace(MMDL, **change)
    return evaluate_direction(scores, ids, ids, labels, labels, protocol, resamples=50)


def others(scores: np.ndarray, query: int) -> list[int]:
    """All items but the query by (-score, index)."""
    items = [item for item in range(ITEMS) if item != query]
    return sorted(items, key=lambda item: (-scores[query, item], item))


def precision_over_found(relevant: list[bool]) -> float:
    """AP of a list, over what is found in it."""
    hits = [
        sum(relevant[: rank + 1]) / (rank + 1) for rank in range(len(relevant)) if relevant[rank]
    ]
    return float(np.mean(hits)) if hits else 0.0


def test_the_query_is_neither_found_nor_relevant(films: Any) -> None:
    """Every image would find itself first, and mAP would be close to 1 for any model."""
    scores, labels = films
    result = evaluate(films)
    expected: dict[str, list[float]] = {
        name: []
        for name in ("R@1", "R@5", "mAP@10[found]", "mAP@all", "median_rank", "NDCG@10[graded]")
    }
    for query in range(ITEMS):
        order = others(scores, query)
        shared = [int((labels[query] & labels[item]).sum()) for item in order]
        relevant = [gain > 0 for gain in shared]
        if not any(relevant):
            for values in expected.values():
                values.append(np.nan)
            continue
        expected["R@1"].append(any(relevant[:1]))
        expected["R@5"].append(any(relevant[:5]))
        expected["mAP@10[found]"].append(precision_over_found(relevant[:10]))
        expected["mAP@all"].append(precision_over_found(relevant))
        expected["median_rank"].append(1 + relevant.index(True))
        gained = sum(gain / log2(rank + 2) for rank, gain in enumerate(shared[:10]))
        best = sorted(shared, reverse=True)[:10]
        ideal = sum(gain / log2(rank + 2) for rank, gain in enumerate(best))
        expected["NDCG@10[graded]"].append(gained / ideal)
    for name, values in expected.items():
        np.testing.assert_allclose(result.per_query[name], values, rtol=1e-12, err_msg=name)
    assert np.flatnonzero(np.isnan(result.per_query["mAP@all"])).tolist() == [3, 7, 11]
    assert result.counts == {
        "queries": ITEMS,
        "items": ITEMS - 1,
        "queries_without_relevant_item": 3,
        "queries_excluded_without_labels": 2,
    }
    assert result.curves.k[-1] == ITEMS - 1
    assert result.curves.recall[-1] == pytest.approx(1)


def test_each_label_is_judged_on_the_first_ten_others(films: Any) -> None:
    """The table by label would be that of another protocol, or count the query itself."""
    scores, labels = films
    table = evaluate(films).by_label
    assert table is not None
    assert table.metric == "mAP@10[found]"
    for label in range(LABELS):
        carriers = np.flatnonzero(labels[:, label])
        assert table.items_C[label] == len(carriers)
        values = [
            precision_over_found([bool(labels[i, label]) for i in others(scores, query)[:10]])
            for query in carriers
        ]
        if len(carriers) < 2:  # a lone carrier has nothing to find
            assert table.queries_C[label] == 0
            assert np.isnan(table.ap_C[label])
            continue
        assert table.queries_C[label] == len(carriers)
        assert table.ap_C[label] == pytest.approx(np.mean(values))


def test_chance_is_that_of_the_database_without_the_query(films: Any) -> None:
    """A useless model would seem to be better or worse than chance."""
    scores, labels = films
    result = evaluate(films)
    rng = np.random.default_rng(51)
    draws = [evaluate((rng.random(scores.shape), labels)) for _ in range(60)]
    for name, value in result.baseline.items():
        simulated = [draw.metrics[name] for draw in draws]
        error = 4 * np.std(simulated) / np.sqrt(len(draws))
        if name != "median_rank":  # a median of expected ranks is no expected median
            assert value == pytest.approx(np.mean(simulated), abs=error), name
    assert result.by_label is not None
    chance = result.by_label.chance_C[:5]
    tables = [draw.by_label.ap_C[:5] for draw in draws if draw.by_label]
    error = 4 * np.std(tables, axis=0) / np.sqrt(len(draws))
    assert (np.abs(np.mean(tables, axis=0) - chance) < error).all()


def test_blocks_leave_out_the_right_item(films: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large database, queries after the first block would have another item left out."""
    whole = evaluate(films)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 3 * ITEMS)
    scores, labels = films
    parts = evaluate((lambda start, stop: scores[start:stop], labels))
    assert parts.metrics == pytest.approx(whole.metrics)
    assert parts.baseline == pytest.approx(whole.baseline)
    assert parts.by_label is not None
    np.testing.assert_array_equal(parts.by_label.ap_C, whole.by_label.ap_C)  # type: ignore[union-attr]


def test_hash_lookup_leaves_the_query_out(films: Any) -> None:
    """At radius 0 every code would return its own image and count it as right."""
    _, labels = films
    rng = np.random.default_rng(52)
    codes = rng.integers(0, 4, size=(ITEMS, 1)).astype(np.uint8)  # many equal codes
    counts = counts_of_others(hamming_counts(codes, codes, labels, labels), labels.any(axis=1))
    for query in range(ITEMS):
        for radius in range(9):
            at = [
                item for item in range(ITEMS)
                if item != query and bin(codes[query, 0] ^ codes[item, 0]).count("1") == radius
            ]  # fmt: skip
            assert counts.items_QD[query, radius] == len(at)
            shared = [bool((labels[query] & labels[item]).any()) for item in at]
            assert counts.relevant_QD[query, radius] == sum(shared)


@pytest.mark.parametrize(
    "ids",
    [(np.arange(ITEMS), np.arange(ITEMS)[::-1]), (np.arange(ITEMS), np.arange(ITEMS + 1))],
    ids=["another order", "another database"],
)
def test_queries_that_are_not_the_database_are_refused(films: Any, ids: Any) -> None:
    """Another item than the query would be left out."""
    _, labels = films
    items = len(ids[1])
    item_labels = np.ones((items, LABELS), dtype=bool)
    with pytest.raises(CrossRayError, match="leave-one-out"):
        evaluate_direction(np.zeros((ITEMS, items)), *ids, labels, item_labels, MMDL)
