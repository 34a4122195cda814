"""How a sweep chooses what to try, what to stop, and how many trials run at a time."""

from __future__ import annotations

import math
from typing import Any, Literal

from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import BasicVariantGenerator, Searcher
from ray.tune.search.optuna import OptunaSearch

from crossray.core.errors import CrossRayError
from crossray.methods.recipe import TrainConfig
from crossray.studies.sweep.space import Space
from crossray.studies.sweep.trial import BITS, EPOCH, QUALITY, TURN
from crossray.training.workers import worker_places

SearchMethod = Literal["grid", "random", "tpe", "tpe-pareto"]
SchedulerName = Literal["asha", "pbt", "none"]
GRACE, REDUCTION = 1, 3
# Of the head node's mark: all trials, what Ray Train holds for each run, and the finest share. What
# is left is for jobs and Ray Serve.
_TRIALS, _RUN, _FINEST = 0.99, 0.001, 0.0001


def searcher(search: SearchMethod, seed: int) -> Searcher | BasicVariantGenerator:
    """What proposes values; `tpe-pareto` looks for the best quality and the fewest bits together.

    Optuna's tree-structured Parzen estimator is of Bergstra et al. 2011.
    """
    if search == "tpe":
        return OptunaSearch(metric=QUALITY, mode="max", seed=seed)
    if search == "tpe-pareto":
        return OptunaSearch(metric=[QUALITY, BITS], mode=["max", "min"], seed=seed)
    return BasicVariantGenerator(random_state=seed)


def scheduler(kind: SchedulerName, space: Space, epochs: int) -> TrialScheduler | None:
    """What stops trials (ASHA: Li et al. 2020) or lets them go on from others' weights (PBT)."""
    if kind == "asha":
        return ASHAScheduler(
            time_attr=EPOCH, metric=QUALITY, mode="max",
            # A trial that comes to its last epoch ends by itself, with its model.
            max_t=epochs - 1, grace_period=GRACE, reduction_factor=REDUCTION,
            stop_last_trials=False,
        )  # fmt: skip
    if kind == "pbt":
        return PopulationBasedTraining(
            time_attr=TURN, metric=QUALITY, mode="max", perturbation_interval=1,
            hyperparam_mutations=space.drawn(),
        )  # fmt: skip
    return None


def check_strategy(search: SearchMethod, kind: SchedulerName, space: Space, epochs: int) -> None:
    """Raises `CrossRayError` for a search and a scheduler that do not suit each other."""
    if kind == "asha" and epochs < 2:
        raise CrossRayError(
            "the scheduler asha stops trials between epochs, and train.epochs is 1; raise it, or "
            "take --scheduler none."
        )
    if kind == "pbt" and search != "random":
        raise CrossRayError(
            "the scheduler pbt changes values by itself from a first random draw; take --search "
            "random, or another scheduler."
        )
    if search == "grid":
        space.size()


class EpochBudget(tune.Stopper):
    """Stops a sweep once all its trials together have trained so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.trained: dict[str, int] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Count an epoch; one that a trial reports twice counts once."""
        self.trained[trial_id] = max(self.trained.get(trial_id, 0), int(result.get(EPOCH, 0)))
        return False

    def stop_all(self) -> bool:
        """Whether the budget is spent."""
        return sum(self.trained.values()) >= self.epochs


def trials_at_a_time(train: TrainConfig) -> int:
    """How many trials the connected cluster holds now.

    Raises `CrossRayError` where there is no room for one, which would wait for ever.
    """
    room = worker_places(train)
    if room < train.workers:
        need = f"{train.cpus_per_worker} CPUs" + (" and a GPU" if train.use_gpu else "")
        raise CrossRayError(
            f"a trial has {train.workers} workers of {need} each, and the cluster has room for "
            f"{room}; lower --train.workers or --train.cpus-per-worker, add nodes, or name "
            "--concurrent on a cluster that adds them when asked."
        )
    return room // train.workers


def trial_resources(at_a_time: int) -> dict[str, float]:
    """What Ray Tune holds for a trial while its coordinator lives, so that no more are begun.

    Coordinators run on the sweep's node and need no CPU; they share the head node's mark. Ray
    Tune's limit does not hold for grids and random draws whose order is seeded, and the one of
    their generator counts paused trials, so that PBT would have a population of no more.
    """
    share = math.floor((_TRIALS / at_a_time - _RUN) / _FINEST) * _FINEST
    return {"CPU": 0, "node:__internal_head__": round(max(share, _FINEST), 4)}
