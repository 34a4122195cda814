"""What training asks of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossray.cluster.room import Need
from crossray.core.errors import CrossRayError
from crossray.methods.recipe import TrainConfig
from crossray.training import run
from crossray.training.workers import worker_need
from support.repeats import small_recipe
from support.runs import no_data

ADVICE = "lower --train.workers or --train.cpus-per-worker"


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("train", "workers"),
    [
        (TrainConfig(workers=2), 2),
        (TrainConfig(workers=8), 8),
        (TrainConfig(workers=8, min_workers=1), 2),
        (TrainConfig(workers=8, min_workers=4), 4),
    ],
)
def test_workers_that_a_run_cannot_begin_without(train: TrainConfig, workers: int) -> None:
    """An elastic run must begin with the nodes that are there, another one with all workers."""
    assert worker_need(train) == Need(workers, {"CPU": 1.0}, "train", ADVICE)


def test_a_gpu_is_needed_too() -> None:
    """A run that waits for GPUs would begin on cores alone, and Ray would hold it up in silence."""
    need = worker_need(TrainConfig(workers=2, cpus_per_worker=3, use_gpu=True, placement="SPREAD"))
    assert need == Need(2, {"CPU": 3.0, "GPU": 1.0}, "train", ADVICE, "SPREAD")


@pytest.mark.usefixtures("ray_cluster")
def test_training_looks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train asks again every minute, with a traceback each time."""

    def full(need: Need) -> None:
        raise CrossRayError(str(need))

    monkeypatch.setattr(run, "wait_for_room", full)
    recipe = small_recipe()
    with pytest.raises(CrossRayError, match=f"^{recipe.train.workers} worker"):
        run._fit(no_data(recipe, tmp_path), None)
