"""Where a sweep stands, as metrics of Ray that Prometheus reads: see `docs/dashboards.md`."""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Gauge


class SweepMetrics:
    """Gauges of a sweep; they stand for as long as this process lives."""

    def __init__(self, run: str) -> None:
        self._tags = {"run": run}
        self._states: set[str] = set()
        self._trials = Gauge("crossray_sweep_trials", "Trials by state.", ("run", "state"))
        self._best = Gauge("crossray_sweep_best", "The best value so far.", ("run",))

    def update(self, trials_by_state: Mapping[str, int], best: float | None) -> None:
        """Set the trials in each state, 0 in those that none is in any more, and the best value.

        `best`: None while no trial has reported any.
        """
        self._states |= trials_by_state.keys()
        for state in self._states:
            self._trials.set(trials_by_state.get(state, 0), {**self._tags, "state": state})
        if best is not None:
            self._best.set(best, self._tags)
