"""What Ray reserves for the workers of a training run."""

from crossray.cluster.placement import role_selector
from crossray.cluster.room import Need, node_resources, places_for
from crossray.methods.recipe import TrainConfig


def worker_resources(train: TrainConfig) -> dict[str, float]:
    """What each worker reserves."""
    gpu = {"GPU": 1.0} if train.use_gpu else {}
    return {"CPU": float(train.cpus_per_worker), **gpu}


def worker_places(train: TrainConfig) -> int:
    """How many workers the connected cluster holds when nothing else runs on it."""
    return places_for(worker_resources(train), node_resources(role_selector("train")))


def worker_need(train: TrainConfig) -> Need:
    """What a run cannot begin without.

    With `min_workers` as many workers as the cluster has nodes for: Ray Train would not begin with
    fewer that find room beside other work.
    """
    workers = train.workers
    if train.min_workers is not None:
        workers = max(train.min_workers, min(workers, worker_places(train)))
    return Need(
        workers,
        worker_resources(train),
        "train",
        "lower --train.workers or --train.cpus-per-worker",
        train.placement,
    )
