"""A run over several Ray nodes of which one is lost and another comes: a program of its own.

    python -m support.elastic FOLDER

FOLDER has the feature set `features` in its store. Prints one JSON object: how many workers trained
between one checkpoint and the next, in order, and the losses by step.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crossray.methods.clip import ClipConfig
from crossray.recipes import get_recipe
from crossray.training import run
from crossray.training.config import Recipe
from crossray.training.pretrain import Pretrain

SECONDS = 240.0


def recipe_of(workers: int, min_workers: int | None) -> Recipe:
    """CLIP's heads on vectors: nothing in it hangs on how many processes share a batch."""
    recipe = get_recipe("clip_pretrained_tiny")
    assert isinstance(recipe.method, ClipConfig)
    method = replace(recipe.method, embedding=16, hidden=32, dropout=0.0)
    train = replace(
        recipe.train, epochs=6, batch_size=24, validation_items=20, checkpoint_every=60,
        workers=workers, min_workers=min_workers, select_by="last", max_failures=6,
    )  # fmt: skip
    return replace(recipe, method=method, train=train)


def training_nodes() -> set[str]:
    """Where workers of the run are alive."""
    from ray.util.state import list_actors

    actors: list[Any] = list_actors(filters=[("state", "=", "ALIVE")], limit=1000)
    return {actor.node_id for actor in actors if "RayTrainWorker" in actor.class_name}


def await_workers(count: int) -> None:
    """Wait until so many nodes train."""
    deadline = time.monotonic() + SECONDS
    while len(training_nodes()) != count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} workers never trained together")
        time.sleep(0.5)


def await_checkpoint(storage: Path, more_than: int = 0) -> int:
    """Wait for a newer checkpoint; gives the step of the newest."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        steps = [
            json.loads(path.read_text())["step"]
            for path in storage.glob("runs/*/train/checkpoint_*/progress.json")
        ]
        if steps and max(steps) > more_than:
            return max(steps)
        time.sleep(0.2)
    raise TimeoutError("no checkpoint")


def disturb(cluster: Cluster, nodes: list[Any], store: Path, seen: list[int]) -> None:
    """Take a node away in mid-epoch, and give one back."""
    await_workers(3)
    seen.append(3)
    step = await_checkpoint(store)
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    await_workers(2)
    seen.append(2)
    await_checkpoint(store, step)
    cluster.add_node(num_cpus=1)
    await_workers(3)
    seen.append(3)


def losses(teacher: Any) -> dict[int, float]:
    """The losses of a run by step, the last that was told of each."""
    events = EventAccumulator(teacher.manifest.metrics["tensorboard"]).Reload()
    return {event.step: event.value for event in events.Scalars("loss/total")}


def main(folder: Path) -> None:
    """Run undisturbed on one worker, then on three of which one is lost."""
    os.environ["CROSSRAY_STORE"] = str(folder)
    run.SECONDS_BETWEEN_LOOKS = 5.0
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": True}
    )
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    ray.init(address=cluster.address, log_to_driver=False)
    seen: list[int] = []
    try:
        whole = Pretrain(None, "whole", recipe_of(1, None), features="features").run()
        helper = threading.Thread(target=disturb, args=(cluster, nodes, folder, seen))
        helper.start()
        shaken = Pretrain(None, "shaken", recipe_of(3, 2), features="features").run()
        helper.join()
        result = {"workers": seen, "whole": losses(whole), "shaken": losses(shaken)}
        print(json.dumps(result))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
