"""One training run on Ray Train: from a `RunSpec` to a published model."""

import os
import time
from collections.abc import Callable
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
from crossray.core.artifacts import Artifact, create, inherited_notes, open_artifact
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_stage
from crossray.core.store import filesystem, is_local
from crossray.methods.config import MethodConfig
from crossray.model_evaluation.selection import selection_notes
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict
from crossray.training.failures import StopRepeatableFailures, failed
from crossray.training.loop import train_worker
from crossray.training.spec import RunSpec
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


def publish(
    spec: RunSpec,
    watch: Watch | None = None,
    finished: Callable[[Path], MethodConfig] | None = None,
) -> Artifact:
    """Train and publish; prints progress and one line.

    `finished` may still change the file of the best weights and gives the method that they are of,
    by default the recipe's.
    """
    began, train = time.monotonic(), spec.recipe.train
    warnings = selection_notes(f"{spec.kind} {spec.out.rsplit('/', 1)[-1]}", train)
    for warning in warnings:
        Console(stderr=True, soft_wrap=True).print(warning, style="yellow", highlight=False)
    ensure_ray(training=True)
    progress = _fit(spec, watch)["progress"]
    config = to_dict(spec.recipe)
    with create(spec.out, spec.kind, config, spec.parents) as draft:
        weights = draft.path / WEIGHTS
        system, root = filesystem(spec.storage)
        fs.copy_files(f"{root}/{progress['best_file']}", str(weights), source_filesystem=system)
        method = spec.recipe.method if finished is None else finished(weights)
        config["method"] = method_to_dict(method)
        if spec.tokenizer is not None:
            spec.tokenizer.save(draft.path / TOKENIZER)
        draft.notes.extend([*inherited_notes(spec.parents), *warnings])
        draft.metrics.update(
            {train.selection: progress["best_metrics"]},
            best_epoch=progress["best_epoch"],
            steps=progress["step"],
            items=spec.data.manifest.metrics["splits"]["train"],
            headline=headline(progress["best_metrics"], train.selection),
            seconds=round(time.monotonic() - began, 1),
            tensorboard=f"{spec.storage}/tensorboard",
        )
    forget(spec.storage)
    model = open_artifact(spec.out)
    print_stage(model)
    return model


def _fit(spec: RunSpec, watch: Watch | None) -> dict[str, Any]:
    train = spec.recipe.train
    if is_local(spec.storage):
        Path(spec.storage).mkdir(parents=True, exist_ok=True)
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
        # Bound here, the spec is read by the workers alone; a loop's config by the controller too.
        partial(train_worker, spec),
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
            storage_path=spec.storage,
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
    then. It would not find the right Ray, and the next trial would wait for ever.
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
