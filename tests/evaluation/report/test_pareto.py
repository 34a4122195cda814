"""The front of several costs against a loop over its definition."""

from __future__ import annotations

import numpy as np
import pytest

from crossray.evaluation.report.sweep_trial import SweepTrial, front, knee, pareto_front, picked


def slow_front(costs: list[list[float]]) -> list[bool]:
    """For every row: does another one beat it?"""
    kept = []
    for own in costs:
        beaten = False
        for other in costs:
            no_worse = all(o <= s for o, s in zip(other, own, strict=True))
            better = any(o < s for o, s in zip(other, own, strict=True))
            beaten = beaten or (no_worse and better)
        kept.append(not beaten)
    return kept


@pytest.mark.parametrize("seed", range(8))
def test_front_is_its_definition(seed: int) -> None:
    """A trial that others beat would be sold as a compromise; ties stand together."""
    rng = np.random.default_rng(seed)
    costs_ND = rng.integers(0, 4, (rng.integers(0, 30), 3)).astype(float)
    assert pareto_front(costs_ND).tolist() == slow_front(costs_ND.tolist())


def test_knee_is_nearest_to_the_ideal() -> None:
    """Scaled by the front alone: a hopeless row must not move the pick."""
    costs_ND = np.array([[0.0, 10.0], [1.0, 1.0], [10.0, 0.0], [500.0, 500.0]])
    assert knee(costs_ND) == 1
    assert knee(np.array([[3.0, 3.0]])) == 0
    assert knee(np.array([[1.0, 2.0], [1.0, 2.0]])) == 0


def trial(name: str, quality: float, bits: int, milliseconds: float | None = None) -> SweepTrial:
    """A finished trial."""
    return SweepTrial(name, {"x": 1}, "finished", {1: quality}, quality, bits, milliseconds)


def test_quality_memory_and_latency_count_together() -> None:
    """A slow, large trial of equal quality is not on the front; unfinished ones never are."""
    small, large = trial("small", 0.5, 16, 2.0), trial("large", 0.5, 64, 2.0)
    best = trial("best", 0.9, 128, 2.0)
    stopped = SweepTrial("stopped", {"x": 2}, "stopped", {1: 0.99}, 0.99)
    trials = [large, stopped, small, best]
    assert [t.name for t in front(trials)] == ["best", "small"]
    assert picked(trials, "best") is best
    middle = trial("middle", 0.88, 20, 2.0)
    assert picked([*trials, middle], "knee") is middle
    assert small.megabytes == 2.0
