"""What a sweep prints and measures while it runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from crossray.studies.sweep.metrics import SweepMetrics
from crossray.studies.sweep.trial import EPOCH, QUALITY, VALUE


class Progress(tune.Callback):
    """A line an epoch of any trial, and one when a trial ends or fails; each is measured, too."""

    def __init__(self, metric: str, epochs: int, trials: int, name: str) -> None:
        """`epochs` of a whole trial; `trials`: how many there will be at most; `name`: its own."""
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
