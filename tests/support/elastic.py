"""A run over several Ray nodes of which one is lost and another comes: a program of its own.

    python -m support.elastic FOLDER

FOLDER has the feature set `features` in its store. Prints one JSON object: how many workers trained
between one checkpoint and the next, in order, and the losses by step.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.cluster_utils import Cluster
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from crossray.core.artifacts import Artifact
from crossray.methods.clip import ClipConfig
from crossray.methods.recipe import Recipe
from crossray.recipes import get_recipe
from crossray.stages.pretrain import Pretrain
from crossray.training import run
from support.nodes import NOTICE, wait_for

# Ray Train may ask for a lost node once more; it waits so long for it, in place of a minute.
START_SECONDS = "15"


def recipe_of(workers: int, min_workers: int | None) -> Recipe:
    """CLIP's heads on vectors: nothing in it hangs on how many processes share a batch."""
    recipe = get_recipe("clip_pretrained_tiny")
    assert isinstance(recipe.method, ClipConfig)
    method = replace(recipe.method, embedding=16, hidden=32, dropout=0.0)
    train = replace(
        recipe.train, epochs=3, batch_size=24, validation_items=20, checkpoint_every=60,
        workers=workers, min_workers=min_workers, select_by="last", max_failures=6,
    )  # fmt: skip
    return replace(recipe, method=method, train=train)


def training_workers() -> int:
    """How many processes train."""
    count = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            count += "RayTrainWorker" in " ".join(process.cmdline())
    return count


def newest_step(storage: Path) -> int:
    """The step of the newest checkpoint that Ray Train knows, 0 before the first."""
    if not list(storage.glob("runs/*/train/checkpoint_manager_snapshot.json")):
        return 0
    steps = [0]
    for path in storage.glob("runs/*/train/checkpoint_*/progress.json"):
        with suppress(OSError, ValueError):  # it is being written, or taken away
            steps.append(json.loads(path.read_text())["step"])
    return max(steps)


def await_checkpoint(storage: Path, workers: int) -> int:
    """Wait for a new checkpoint of so many workers; gives their number."""
    wait_for(lambda: training_workers() == workers, f"training with {workers} workers")
    step = newest_step(storage)
    wait_for(lambda: newest_step(storage) > step, f"a checkpoint after step {step}")
    return training_workers()


def disturb(cluster: Cluster, nodes: list[Any], store: Path, seen: list[int]) -> None:
    """Take a node away in mid-epoch, and give one back."""
    seen.append(await_checkpoint(store, 3))
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    seen.append(await_checkpoint(store, 2))
    cluster.add_node(num_cpus=1)
    seen.append(await_checkpoint(store, 3))


def losses(teacher: Artifact) -> dict[int, float]:
    """The losses of a run by step, the last that was told of each."""
    events = EventAccumulator(teacher.manifest.metrics["tensorboard"]).Reload()
    return {event.step: event.value for event in events.Scalars("loss/total")}


def main(folder: Path) -> None:
    """Run undisturbed on one worker, then on three of which one is lost."""
    os.environ["CROSSRAY_STORE"] = str(folder)
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = START_SECONDS
    run.SECONDS_BETWEEN_LOOKS = 5.0
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": NOTICE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    ray.init(address=cluster.address, log_to_driver=False)
    seen: list[int] = []
    try:
        whole = Pretrain(None, "whole", recipe_of(1, None), features="features").run()
        job = Pretrain(None, "shaken", recipe_of(3, 2), features="features")
        with ThreadPoolExecutor(1) as pool:
            training = pool.submit(job.run)
            disturb(cluster, nodes, folder, seen)  # Ray adds nodes from the main thread only
            shaken = training.result()
        result = {"workers": seen, "whole": losses(whole), "shaken": losses(shaken)}
        print(json.dumps(result))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
