"""Metrics by class against loops and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from crossray.evaluation import (
    Protocol,
    average_precision,
    evaluate_direction,
    recall_at_k,
    same_class,
)
from crossray.evaluation.metrics import arrays


def accuracy_at_k(
    scores: np.ndarray, query_classes: Any, item_classes: Any, k: int, ties: Any = "stable"
) -> np.ndarray:
    """R@K under the relevance `same_class`."""
    return recall_at_k(scores, same_class(query_classes, item_classes), k, ties)


def average_precision_by_class(
    scores: np.ndarray, query_labels: np.ndarray, item_labels: np.ndarray, ties: Any
) -> np.ndarray:
    """The table by label of an evaluation."""
    protocol = Protocol(
        "by class", "share_label", "share_label", ("mAP@all",), ties, "skip", "", ("mAP@all",)
    )
    queries, items = np.arange(len(query_labels)), np.arange(len(item_labels))
    table = evaluate_direction(
        scores, queries, items, query_labels, item_labels, protocol, resamples=2
    ).by_label
    assert table is not None
    return table.ap_C


@pytest.mark.parametrize("k", [1, 2, 5])
def test_accuracy_at_k_with_an_item_a_class_is_that_of_scikit_learn(k: int) -> None:
    """Acc-1 and Acc-5 could not be compared with published numbers."""
    rng = np.random.default_rng(0)
    scores, classes = rng.normal(size=(60, 9)), rng.integers(9, size=60)
    values = accuracy_at_k(scores, classes, np.arange(9), k)
    oracle = top_k_accuracy_score(classes, scores, k=k, labels=np.arange(9))
    np.testing.assert_allclose(values.mean(), oracle, rtol=1e-12)


def test_accuracy_at_k_asks_for_any_item_of_the_class() -> None:
    """The neighbours would vote, and a right answer among the first K could be outvoted."""
    scores = np.array([[5.0, 4.0, 3.0, 2.0]])
    for k, value in ((1, 0), (2, 0), (3, 1), (4, 1)):
        assert accuracy_at_k(scores, ["lung"], ["heart", "heart", "lung", "heart"], k)[0] == value
    assert accuracy_at_k(scores, ["spine"], ["heart", "heart", "lung", "heart"], 4)[0] == 0
    # Four equal scores: one relevant item is the first with a chance of 1/4.
    equal = accuracy_at_k(scores * 0, ["a"], ["b", "b", "a", "b"], 1, ties="expected")
    np.testing.assert_allclose(equal, [0.25])


@pytest.fixture
def labelled() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and labels; no query carries label 1 and no item label 2."""
    rng = np.random.default_rng(1)
    query_labels, item_labels = rng.random((14, 6)) < 0.4, rng.random((25, 6)) < 0.3
    query_labels[:, 1] = False
    item_labels[:, 2] = False
    return rng.normal(size=(14, 25)), query_labels, item_labels


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_a_class_is_judged_alone_by_the_queries_that_carry_it(labelled: Any, ties: Any) -> None:
    """The precision of a rare class would be that of the common classes beside it."""
    scores, query_labels, item_labels = labelled
    values = average_precision_by_class(*labelled, ties=ties)
    for label in (0, 3, 4, 5):
        oracle = [
            average_precision_score(item_labels[:, label], scores[q])
            for q in np.flatnonzero(query_labels[:, label])
        ]
        np.testing.assert_allclose(values[label], np.mean(oracle), rtol=1e-12)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [1, 2])


@pytest.mark.parametrize("ties", ["stable", "expected"])
def test_tied_classes_follow_the_tie_rule_in_every_block(
    ties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tie rule would hold for the headline and not for its classes."""
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 3, size=(11, 20))
    one_hot = np.eye(3, dtype=bool)
    classes_Q, classes_N = rng.integers(3, size=11), rng.integers(3, size=20)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 50)
    values = average_precision_by_class(scores, one_hot[classes_Q], one_hot[classes_N], ties=ties)
    ap_Q = average_precision(scores, classes_Q[:, None] == classes_N, ties=ties)
    np.testing.assert_allclose(values, [ap_Q[classes_Q == c].mean() for c in range(3)], rtol=1e-12)
