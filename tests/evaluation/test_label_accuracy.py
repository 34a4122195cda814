"""Acc-K of predicted labels against its definition in a loop."""

from __future__ import annotations

import numpy as np
import pytest

from crossray.evaluation import evaluate_direction, get_protocol, label_accuracy
from crossray.evaluation.label_accuracy import with_label_accuracy


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 5])
def test_any_of_the_most_probable_labels(seed: int, k: int) -> None:
    """Acc-1 and Acc-5 could not be compared with published numbers; ties included."""
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 4, (40, 6)) / 4
    labels = rng.random((40, 6)) < 0.2
    values = label_accuracy(probabilities, labels, k)
    for row in range(40):
        ranked = sorted(range(6), key=lambda c: (-probabilities[row, c], c))[:k]
        expected = float(any(labels[row, c] for c in ranked)) if labels[row].any() else np.nan
        np.testing.assert_equal(values[row], expected)


def test_beside_a_ranking() -> None:
    """The report would lack accuracy, its chance level, or the images it is a mean of."""
    rng = np.random.default_rng(0)
    labels = rng.random((30, 4)) < 0.4
    labels[:2] = False
    probabilities = rng.random((30, 4))
    ids = np.arange(30)
    scores = rng.random((30, 30))
    result = evaluate_direction(scores, ids, ids, labels, labels, get_protocol("mmdl"))
    found = with_label_accuracy(result, probabilities, labels)
    assert "Acc-5" not in found.metrics, "there are four labels"
    values = label_accuracy(probabilities, labels, 1)
    assert found.metrics["Acc-1"] == pytest.approx(np.nanmean(values))
    assert found.baseline["Acc-1"] == pytest.approx(labels[labels.any(axis=1)].mean())
    low, high = found.intervals["Acc-1"]
    assert low < found.metrics["Acc-1"] < high
    assert {name: found.metrics[name] for name in result.metrics} == result.metrics
    assert with_label_accuracy(result, probabilities, np.zeros((30, 4), bool)) is result
