"""When a sweep has spent what it may."""

from __future__ import annotations

from typing import Any

from ray import tune

from crossray.studies.sweep.trial import EPOCH


class EpochBudget(tune.Stopper):
    """Stops a sweep once all its trials together have trained so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.trained: dict[str, int] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Count an epoch; a trial that is told of twice counts once."""
        self.trained[trial_id] = max(self.trained.get(trial_id, 0), int(result.get(EPOCH, 0)))
        return False

    def stop_all(self) -> bool:
        """Whether the budget is spent."""
        return sum(self.trained.values()) >= self.epochs
