"""What a sweep prints and measures while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.util.metrics import Gauge

from crossray.studies.sweep.trial import EPOCH, QUALITY, VALUE


class SweepMetrics:
    """Gauges of Ray that Prometheus reads while this process lives: see `docs/dashboards.md`."""

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


class SweepProgress(tune.Callback):
    """A line an epoch of any trial, and one when a trial ends or fails; each is measured, too."""

    def __init__(self, metric: str, epochs: int, trials: int, name: str) -> None:
        """`epochs` of a full trial; `trials`: at most so many; `name` of the sweep."""
        self._metric, self._epochs, self._trials = metric, epochs, trials
        self._metrics = SweepMetrics(name)

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial begins."""
        self._measure(trials)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Called after an epoch."""
        best = max(result[QUALITY], *(t.last_result.get(QUALITY, -1.0) for t in trials))
        self._say(
            trials,
            f"trial {trial.trial_id}   epoch {result[EPOCH]}/{self._epochs}   "
            f"{self._metric} {result[VALUE]:.4f}   best of all {best:.4f}",
        )

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial has trained to its end or was stopped."""
        epochs = trial.last_result.get(EPOCH, 0)
        ended = "finished" if epochs == self._epochs else f"stopped after epoch {epochs}"
        self._say(trials, f"trial {trial.trial_id}   {ended}")

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a trial has failed for good."""
        self._say(trials, f"trial {trial.trial_id}   failed; its error is in the report")

    def _measure(self, trials: list[Trial]) -> Counter[str]:
        """The trials by state."""
        states = Counter(trial.status for trial in trials)
        reported = [t.last_result[QUALITY] for t in trials if QUALITY in t.last_result]
        self._metrics.update(states, max(reported, default=None))
        return states

    def _say(self, trials: list[Trial], line: str) -> None:
        states = self._measure(trials)
        ended = states[Trial.TERMINATED] + states[Trial.ERROR]
        print(
            f"{line}   ({states[Trial.RUNNING]} running, {ended} of {self._trials} ended)",
            flush=True,
        )
