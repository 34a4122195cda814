"""Average precision of Hamming ranking against loops, other tie orders and the general metric."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    average_precision,
    hamming_average_precision,
    hamming_counts,
    share_label,
)
from crossray.evaluation.hamming import pairs as hamming_pairs
from crossray.evaluation.metrics import arrays
from crossray.evaluation.metrics.average_precision import average_precision_of

Inputs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def draw(rng: np.random.Generator, queries: int, items: int, bits: int, labels: int) -> Inputs:
    """Packed codes and labels; the codes are near each other, so distances tie."""
    centre = rng.random(bits) < 0.5
    codes = [np.packbits(centre ^ (rng.random((n, bits)) < 0.2), axis=1) for n in (queries, items)]
    query_labels, item_labels = (rng.random((n, labels)) < 0.2 for n in (queries, items))
    query_labels[0] = False
    return codes[0], codes[1], query_labels, item_labels


def distances(query_codes: np.ndarray, item_codes: np.ndarray) -> np.ndarray:
    """Differing bits, counted one by one."""
    query_bits, item_bits = np.unpackbits(query_codes, axis=1), np.unpackbits(item_codes, axis=1)
    return np.array([(item_bits != code).sum(axis=1) for code in query_bits])


def usual_loop(inputs: Inputs) -> np.ndarray:
    """What the published evaluations of hashing do, with a stable sort."""
    query_codes, item_codes, query_labels, item_labels = inputs
    signs = [np.unpackbits(codes, axis=1) * 2.0 - 1 for codes in (query_codes, item_codes)]
    values = []
    for code, labels in zip(signs[0], query_labels, strict=True):
        distance = 0.5 * (signs[1].shape[1] - signs[1] @ code)
        relevant = (item_labels * 1.0) @ labels > 0
        ranks = np.flatnonzero(relevant[np.argsort(distance, kind="stable")]) + 1
        values.append(np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else np.nan)
    return np.array(values)


SHAPES = [  # queries, items, bits, labels; words of every length, several words, odd rests
    (9, 40, 8, 1),
    (7, 333, 16, 21),
    (5, 57, 24, 33),
    (6, 120, 64, 64),
    (4, 64, 96, 70),
    (4, 61, 128, 130),
    (3, 20_001, 32, 24),
    (3, 34_000, 64, 5),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_stable_is_the_usual_loop(shape: tuple[int, int, int, int]) -> None:
    """Codes could not be compared with published evaluations."""
    inputs = draw(np.random.default_rng(0), *shape)
    values = hamming_average_precision(*inputs, ties="stable")
    np.testing.assert_allclose(values, usual_loop(inputs), rtol=0, atol=1e-12)
    assert np.isnan(values[0])


@pytest.mark.parametrize("labels", [63, 64, 65, 128, 129, 192, 200, 257])
def test_every_label_counts(labels: int) -> None:
    """Items would be relevant only by the first labels of a large vocabulary."""
    rng = np.random.default_rng(labels)
    query_codes, item_codes, *_ = draw(rng, labels, 2 * labels, 16, 1)
    query_labels = np.eye(labels, dtype=bool)
    item_labels = np.repeat(query_labels, 2, axis=0)[rng.permutation(2 * labels)]
    inputs = query_codes, item_codes, query_labels, item_labels
    values = hamming_average_precision(*inputs, ties="stable")
    np.testing.assert_allclose(values, usual_loop(inputs), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES[:-2], ids=str)
@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_the_values_are_those_of_average_precision(
    shape: tuple[int, int, int, int], ties: Any
) -> None:
    """Codes would score otherwise than the same distances given as scores."""
    inputs = draw(np.random.default_rng(1), *shape)
    scores, relevant = -distances(*inputs[:2]), share_label(*inputs[2:])
    np.testing.assert_allclose(
        hamming_average_precision(*inputs, ties=ties),
        average_precision(scores, relevant, ties=ties),
        rtol=1e-12,
    )


def test_expected_is_the_mean_over_every_order_of_the_database() -> None:
    """Scores of short codes, which tie all the time, would depend on the order of the database."""
    rng = np.random.default_rng(2)
    for _ in range(3):
        inputs = draw(rng, 5, 5, 8, 3)
        query_codes, item_codes, query_labels, item_labels = inputs
        item_codes &= 0b11
        query_codes &= 0b11
        stable = [
            usual_loop((query_codes, item_codes[list(o)], query_labels, item_labels[list(o)]))
            for o in permutations(range(5))
        ]
        np.testing.assert_allclose(
            hamming_average_precision(*inputs), np.mean(stable, axis=0), atol=1e-12
        )


def test_expected_is_the_mean_over_random_orders_of_the_database() -> None:
    """The closed form would hold on tiny databases only."""
    rng = np.random.default_rng(3)
    inputs = draw(rng, 10, 300, 16, 10)
    query_codes, item_codes, query_labels, item_labels = inputs
    orders = [rng.permutation(300) for _ in range(150)]
    stable = np.array(
        [
            hamming_average_precision(
                query_codes, item_codes[o], query_labels, item_labels[o], ties="stable"
            )
            for o in orders
        ]
    )
    error = stable.std(axis=0, ddof=1) / np.sqrt(len(orders))
    difference = hamming_average_precision(*inputs) - stable.mean(axis=0)
    judged = ~np.isnan(difference)
    assert judged.sum() > 5
    assert (np.abs(difference) <= 5 * error + 1e-12)[judged].all()


def test_expected_without_ties_is_that_of_scikit_learn() -> None:
    """The expectation would be wrong where there is nothing to expect."""
    rng = np.random.default_rng(4)
    flipped = np.arange(65)
    items = np.packbits(np.arange(64) < flipped[:, None], axis=1)[rng.permutation(65)]
    query = np.zeros((1, 8), np.uint8)
    labels = rng.random((65, 1)) < 0.3
    oracle = average_precision_score(labels[:, 0], -distances(query, items)[0])
    for ties in ("stable", "expected"):
        value = hamming_average_precision(query, items, np.ones((1, 1), bool), labels, ties=ties)
        np.testing.assert_allclose(value, [oracle], rtol=1e-12)


def test_small_blocks_far_down_a_large_database_keep_their_digits() -> None:
    """The closed form cancels there: mAP over large databases would be noise for rare labels."""
    far, items = 1_000_000, 1_000_002
    counts = hamming_counts(
        np.zeros((1, 1), np.uint8),
        np.repeat(np.array([[0], [255]], np.uint8), [far, 2], axis=0),
        np.ones((1, 1), bool),
        (np.arange(items) >= far)[:, None],
    )
    expected = (1 / (far + 1) + 2 / (far + 2)) / 2
    np.testing.assert_allclose(average_precision_of(counts), [expected], rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_counts_are_those_of_a_loop(shape: tuple[int, int, int, int]) -> None:
    """Every expectation and curve by distance would be wrong."""
    queries, items, bits, labels = shape
    inputs = draw(np.random.default_rng(5), queries, items, bits, labels)
    distance_QN, relevant_QN = distances(*inputs[:2]), share_label(*inputs[2:])
    counts = hamming_counts(*inputs)
    for query in range(queries):
        for count_D, kept in ((counts.items_QD, None), (counts.relevant_QD, relevant_QN[query])):
            oracle = np.bincount(
                distance_QN[query] if kept is None else distance_QN[query][kept],
                minlength=bits + 1,
            )
            np.testing.assert_array_equal(count_D[query], oracle)


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_blocks_and_tiles_do_not_change_a_value(ties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large databases, which run in many blocks, would differ from small ones."""
    inputs = draw(np.random.default_rng(6), 23, 150, 24, 9)
    whole = hamming_average_precision(*inputs, ties=ties)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 600)
    monkeypatch.setattr(hamming_pairs, "TILE", 64)
    np.testing.assert_array_equal(hamming_average_precision(*inputs, ties=ties), whole)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 40), st.sampled_from([8, 16]))
def test_values_stay_in_their_range_and_ignore_the_order_in_expectation(
    seed: int, queries: int, items: int, bits: int
) -> None:
    """Re-sharding a database would change its scores, or a score could leave [0, 1]."""
    rng = np.random.default_rng(seed)
    query_codes, item_codes, query_labels, item_labels = draw(rng, queries, items, bits, 4)
    values = hamming_average_precision(query_codes, item_codes, query_labels, item_labels)
    order = rng.permutation(items)
    again = hamming_average_precision(
        query_codes, item_codes[order], query_labels, item_labels[order]
    )
    np.testing.assert_allclose(values, again, rtol=1e-12)
    judged = values[~np.isnan(values)]
    assert ((judged > 0) & (judged <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(
        np.isnan(values), ~share_label(query_labels, item_labels).any(axis=1)
    )


def test_padding_bits_change_nothing() -> None:
    """Codes of an odd length, padded on both sides to whole bytes, would score otherwise."""
    inputs = draw(np.random.default_rng(7), 6, 80, 16, 5)
    padded = [np.pad(codes, ((0, 0), (0, 3)), constant_values=90) for codes in inputs[:2]]
    for ties in ("stable", "expected"):
        np.testing.assert_allclose(
            hamming_average_precision(*padded, *inputs[2:], ties=ties),
            hamming_average_precision(*inputs, ties=ties),
            rtol=1e-12,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.zeros((2, 3), np.uint8)}, "24 bits cannot be compared with items of 16 bits"),
        ({0: np.zeros((2, 2))}, "codes of the queries must be bytes"),
        ({1: np.zeros((0, 2), np.uint8)}, "at least one row"),
        ({1: np.zeros(6, np.uint8)}, "codes of the items must be bytes"),
        ({2: np.ones((2, 4))}, "boolean"),
        ({2: np.ones((2, 5), bool)}, "one vocabulary"),
        ({3: np.ones((4, 4), bool)}, r"labels of the items have the shape \(4, 4\) for 3 codes"),
    ],
)
def test_codes_and_labels_that_do_not_fit_are_refused(
    change: dict[int, np.ndarray], message: str
) -> None:
    """A mix-up of inputs would give a plausible score."""
    inputs = [
        np.zeros((2, 2), np.uint8),
        np.zeros((3, 2), np.uint8),
        np.ones((2, 4), bool),
        np.ones((3, 4), bool),
    ]
    for place, value in change.items():
        inputs[place] = value
    for call in (hamming_average_precision, hamming_counts):
        with pytest.raises(CrossRayError, match=message):
            call(*inputs)


def test_an_unknown_tie_rule_is_refused() -> None:
    """A misspelt tie rule would fall back to another one."""
    inputs = draw(np.random.default_rng(8), 2, 3, 8, 2)
    with pytest.raises(CrossRayError, match="choose one of stable, expected"):
        hamming_average_precision(*inputs, ties="random")  # type: ignore[arg-type]
