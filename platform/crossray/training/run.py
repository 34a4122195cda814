"""One training run on Ray Train: from a task to a published model."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from pyarrow import fs
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.callback import UserCallback
from rich.console import Console

from crossray.cluster.placement import role_selector
from crossray.cluster.ray_private import propagate_to_training
from crossray.cluster.room import wait_for_room
from crossray.cluster.start import ensure_ray
from crossray.core.artifacts import Artifact, Kind, create, inherited_notes, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import filesystem, is_local, store_root
from crossray.data.tokenization import Tokenizer
from crossray.methods.contract import MethodConfig
from crossray.methods.recipe import Recipe
from crossray.methods.student.model import StudentConfig
from crossray.model_evaluation.selection import selection_notes
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict
from crossray.training.failures import StopRepeatableFailures, failed
from crossray.training.hubness import with_fewer_hubs
from crossray.training.loop import Task, train_worker
from crossray.training.teacher import Lesson
from crossray.training.tracking import Track
from crossray.training.workers import worker_need, worker_resources

SECONDS_BETWEEN_LOOKS = 60.0  # for room for more workers
_ADDRESS = "RAY_API_SERVER_ADDRESS"  # takes the address of a Ray, too
_START_TIMEOUT = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
_WEEK = 7 * 24 * 3600
_PRINT_PATCH = "RAY_TRAIN_ENABLE_PRINT_PATCH"  # it shows every printed line twice on the driver


@dataclass(frozen=True)
class Watch:
    """How somebody else follows a run.

    Attributes:
        callback: hears what the workers report.
        start: URI of another run's checkpoint that this one goes on from.
    """

    callback: UserCallback
    start: str | None = None


@dataclass(frozen=True)
class Run:
    """What is trained on what, and where the model goes.

    Attributes:
        kind: of the artifact that comes out.
        recipe: fitted to the data.
        tokenizer: that of the model; None on a feature set, which has no words.
        pairs: what `items` counts; a feature set in its place.
        source: what the workers read: `pairs`, or features of them.
        out: URI of the artifact.
        parents: of the artifact, which inherits their notes.
        lesson: who teaches, in distillation.
        init: the teacher whose weights the model starts from, one of the parents.
        track: where metrics go besides TensorBoard.
        watch: who else follows it.
    """

    kind: Kind
    recipe: Recipe
    tokenizer: Tokenizer | None
    pairs: Artifact
    source: Artifact
    out: str
    parents: tuple[Artifact, ...]
    track: Track
    lesson: Lesson | None = None
    init: Artifact | None = None
    watch: Watch | None = None

    def publish(self) -> Artifact:
        """Train and publish; prints progress and one line."""
        began = time.monotonic()
        warnings = selection_notes(f"{self.kind} {self.out.rsplit('/', 1)[-1]}", self.recipe.train)
        for warning in warnings:
            Console(stderr=True, soft_wrap=True).print(warning, style="yellow", highlight=False)
        task = self._task()
        ensure_ray(training=True)
        progress = _fit(task, self.watch)["progress"]
        config = to_dict(self.recipe)
        with create(self.out, self.kind, config, self.parents) as draft:
            system, root = filesystem(task.storage)
            best = f"{root}/{progress['best_file']}"
            fs.copy_files(best, str(draft.path / WEIGHTS), source_filesystem=system)
            config["method"] = method_to_dict(self._finished(draft.path / WEIGHTS))
            if self.tokenizer is not None:
                self.tokenizer.save(draft.path / TOKENIZER)
            draft.notes.extend([*inherited_notes(self.parents), *warnings])
            draft.metrics.update(
                {self.recipe.train.selection: progress["best_metrics"]},
                best_epoch=progress["best_epoch"],
                steps=progress["step"],
                items=self.pairs.manifest.metrics["splits"]["train"],
                headline=headline(progress["best_metrics"], self.recipe.train.selection),
                seconds=round(time.monotonic() - began, 1),
                tensorboard=f"{task.storage}/tensorboard",
            )
        forget(task.storage)
        model = open_artifact(self.out)
        print_stage(model)
        return model

    def _finished(self, weights: Path) -> MethodConfig:
        """The method as it is published; a student's weights may still get something more."""
        method = self.recipe.method
        if self.lesson is None or self.tokenizer is None or not isinstance(method, StudentConfig):
            return method
        share = self.lesson.config.hubness
        return with_fewer_hubs(method, weights, share, self.pairs, self.tokenizer)

    def _task(self) -> Task:
        """Its storage is named by what the run depends on: the same run resumes, another starts."""
        parents = [parent.id for parent in self.parents]
        start = None if self.watch is None else self.watch.start
        said = [to_dict(self.recipe), parents, self.out, *([] if start is None else [start])]
        identity = json.dumps(said, sort_keys=True).encode()
        name = f"{self.out.rsplit('/', 1)[-1]}-{hashlib.sha256(identity).hexdigest()[:12]}"
        storage = f"{store_root()}/runs/{name}"
        words = None if self.tokenizer is None else self.tokenizer.to_str()
        init = None if self.init is None else self.init.uri
        return Task(
            self.recipe, self.source.uri, words, name, storage, self.track, self.lesson, init, start
        )  # fmt: skip


def _fit(task: Task, watch: Watch | None) -> dict[str, Any]:
    train = task.recipe.train
    if is_local(task.storage):
        Path(task.storage).mkdir(parents=True, exist_ok=True)
    _name_this_ray()
    wait_for_room(worker_need(train))
    os.environ.setdefault(_PRINT_PATCH, "0")
    least = train.min_workers
    callbacks = [StopRepeatableFailures(), *([] if watch is None else [watch.callback])]
    if least is None:
        # A run that lost a worker waits for a place to come back; Ray Train would give it up and
        # ask again every minute, with a traceback each time.
        os.environ.setdefault(_START_TIMEOUT, str(_WEEK))
    trainer = TorchTrainer(
        # Bound here, the task is read by the workers alone; a loop's config by the controller too.
        partial(train_worker, task),
        torch_config=TorchConfig(backend="nccl" if train.use_gpu else "gloo"),
        # Ray's types show the first version of its trainer's configuration; the second one runs.
        scaling_config=ray.train.ScalingConfig(  # type: ignore[call-arg]
            num_workers=train.workers if least is None else (least, train.workers),  # type: ignore[arg-type]
            elastic_resize_monitor_interval_s=SECONDS_BETWEEN_LOOKS,
            use_gpu=train.use_gpu,
            resources_per_worker=worker_resources(train),
            placement_strategy=train.placement,
            label_selector=role_selector("train") or None,
        ),
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]
            name="train",
            storage_path=task.storage,
            failure_config=ray.train.FailureConfig(max_failures=train.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            callbacks=callbacks,  # type: ignore[arg-type]
            worker_runtime_env=None if train.use_gpu else {"env_vars": {"DS_ACCELERATOR": "cpu"}},
        ),
    )
    try:
        result = trainer.fit()
    except ray.train.ControllerError as error:
        if isinstance(error.controller_failure, CrossRayError):
            raise error.controller_failure from None
        raise
    except ray.train.WorkerGroupError as error:
        rank, failure = next(iter(error.worker_failures.items()))
        raise CrossRayError(failed(rank, failure)) from error
    metrics = dict(result.metrics or {})
    if "refused" in metrics:
        raise CrossRayError(metrics["refused"])
    return metrics


def _name_this_ray() -> None:
    """Tell the processes of Ray Train whose dashboard to ask, where several Rays run on a machine.

    One of them asks it whether a run is gone, as when a sweep stops a trial, and frees its CPUs
    then. It would not find its own Ray, and the next trial would wait for ever.
    """
    os.environ[_ADDRESS] = ray.get_runtime_context().gcs_address
    propagate_to_training(_ADDRESS)


def forget(storage: str) -> None:
    """Remove a run's checkpoints and the teacher's outputs; its TensorBoard files stay."""
    system, root = filesystem(storage)
    for entry in system.get_file_info(fs.FileSelector(root, allow_not_found=True)):
        if entry.base_name in ("train", "teaching"):
            system.delete_dir(entry.path)
        elif entry.base_name.startswith("best-"):
            system.delete_file(entry.path)


def headline(quality: dict[str, dict[str, float]], split: str) -> dict[str, float]:
    """The figures of a model's validation that `summary` shows: R@10, or all that there are."""
    return {
        f"{split} {metric} {name.replace('_', ' ')}": value
        for name, part in quality.items()
        for metric, value in part.items()
        if metric == "R@10" or "R@10" not in part
    }
