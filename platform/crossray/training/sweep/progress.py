"""What a sweep prints while it runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from crossray.training.sweep.trial import EPOCH, QUALITY, VALUE


class Progress(tune.Callback):
    """A line an epoch of any trial, and one when a trial ends or fails."""

    def __init__(self, metric: str, epochs: int, trials: int) -> None:
        """`epochs` of a whole trial; `trials`: how many there will be at most."""
        self._metric, self._epochs, self._trials = metric, epochs, trials

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Called after an epoch."""
        best = max(t.last_result.get(QUALITY, -1.0) for t in trials)
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

    def _say(self, trials: list[Trial], line: str) -> None:
        states = Counter(trial.status for trial in trials)
        ended = states[Trial.TERMINATED] + states[Trial.ERROR]
        print(
            f"{line}   ({states[Trial.RUNNING]} running, {ended} of {self._trials} ended)",
            flush=True,
        )
