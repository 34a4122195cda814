"""How many trials a cluster holds at a time."""

from __future__ import annotations

import math

from crossray.core.errors import CrossRayError
from crossray.methods.recipe import TrainConfig
from crossray.training.workers import worker_places

# Of the head node's mark: all trials, what Ray Train holds for each run, and the finest share. What
# is left is for jobs and Ray Serve.
_TRIALS, _RUN, _FINEST = 0.99, 0.001, 0.0001


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

    Coordinators stay beside the sweep and need no CPU; they share the head node's mark. Ray Tune's
    own limit does not hold for grids and random draws whose order is seeded, and the one of their
    generator counts paused trials, so that PBT would have a population of no more.
    """
    share = math.floor((_TRIALS / at_a_time - _RUN) / _FINEST) * _FINEST
    return {"CPU": 0, "node:__internal_head__": round(max(share, _FINEST), 4)}
