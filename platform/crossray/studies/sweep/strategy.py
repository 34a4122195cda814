"""How a sweep chooses what to try and what to stop: Ray Tune's searchers and schedulers."""

from __future__ import annotations

from typing import Literal

from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import BasicVariantGenerator, Searcher
from ray.tune.search.optuna import OptunaSearch

from crossray.core.errors import CrossRayError
from crossray.studies.sweep.space import Space
from crossray.studies.sweep.trial import BITS, EPOCH, QUALITY, TURN

Search = Literal["grid", "random", "tpe", "tpe-pareto"]
Scheduler = Literal["asha", "pbt", "none"]
GRACE, REDUCTION = 1, 3


def searcher(search: Search, seed: int) -> Searcher | BasicVariantGenerator:
    """What proposes values; `tpe-pareto` looks for the best quality and the fewest bits together.

    Optuna's tree-structured Parzen estimator is of Bergstra et al. 2011.
    """
    if search == "tpe":
        return OptunaSearch(metric=QUALITY, mode="max", seed=seed)
    if search == "tpe-pareto":
        return OptunaSearch(metric=[QUALITY, BITS], mode=["max", "min"], seed=seed)
    return BasicVariantGenerator(random_state=seed)


def scheduler(kind: Scheduler, space: Space, epochs: int) -> TrialScheduler | None:
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


def check_strategy(search: Search, kind: Scheduler, space: Space, epochs: int) -> None:
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
