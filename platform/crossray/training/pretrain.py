"""Train a teacher: from a `pairs` or `features` artifact to a `teacher` artifact."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import ray
import ray.train
from pyarrow import fs
from ray.train.torch import TorchConfig, TorchTrainer
from tyro.conf import arg

from crossray.core.artifacts import (
    Artifact,
    check_writable,
    create,
    open_artifact,
    require_parent,
)
from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.core.inspection import print_summary
from crossray.core.store import filesystem, is_local, resolve, store_root
from crossray.data.cluster import ensure_ray
from crossray.data.tokenization import Tokenizer, load_tokenizer
from crossray.training.config import Recipe
from crossray.training.features import same_towers
from crossray.training.fitting import fitted, make_tokenizer
from crossray.training.loop import Task, train_worker
from crossray.training.models import TOKENIZER, WEIGHTS, method_to_dict
from crossray.training.tracking import Track, require_mlflow


@dataclass(frozen=True)
class Pretrain:
    """Train a model on Ray Train with DeepSpeed.

    Attributes:
        pairs: the artifact to train on: a name in the store, an absolute path or a URI.
        out: the teacher artifact.
        recipe: the method and everything that trains it.
        features: an artifact with cached outputs of the recipe's frozen towers, made from `pairs`.
        track: where metrics go besides TensorBoard.
    """

    pairs: str
    out: str
    recipe: Annotated[Recipe, arg(name="")]
    features: str | None = None
    track: Track = "none"

    def run(self) -> Artifact:
        """Train and publish; prints progress and one table."""
        began = time.monotonic()
        recipe, out = self.recipe, resolve(self.out)
        recipe.check()
        check_writable(out)
        if self.track == "mlflow":
            require_mlflow()
        pairs = open_artifact(resolve(self.pairs), "pairs")
        tokenizer, recipe, source = self._inputs(pairs)
        task = _task(recipe, source, tokenizer, out, self.track)
        ensure_ray(training=True)
        metrics = _fit(task)
        with create(out, "teacher", self._config(recipe), _parents(pairs, source)) as draft:
            progress = metrics["progress"]
            system, root = filesystem(task.storage)
            best = f"{root}/{progress['best_file']}"
            fs.copy_files(best, str(draft.path / WEIGHTS), source_filesystem=system)
            tokenizer.save(draft.path / TOKENIZER)
            draft.notes.extend(pairs.manifest.notes)
            draft.metrics.update(
                validation=progress["best_metrics"],
                best_epoch=progress["best_epoch"],
                steps=progress["step"],
                items=pairs.manifest.metrics["splits"]["train"],
                headline=_headline(progress["best_metrics"]),
                seconds=round(time.monotonic() - began, 1),
                tensorboard=f"{task.storage}/tensorboard",
            )
        _forget(task)
        teacher = open_artifact(out)
        print_summary(teacher)
        return teacher

    def _inputs(self, pairs: Artifact) -> tuple[Tokenizer, Recipe, Artifact]:
        if self.features is None:
            tokenizer = make_tokenizer(self.recipe.tokenizer, pairs)
            return tokenizer, fitted(self.recipe, tokenizer), pairs
        features = open_artifact(resolve(self.features), "features")
        require_parent(features, pairs)
        tokenizer = load_tokenizer(f"path:{features.local() / TOKENIZER}")
        recipe = fitted(self.recipe, tokenizer)
        same_towers(recipe, features)
        return tokenizer, recipe, features

    def _config(self, recipe: Recipe) -> dict[str, Any]:
        config = to_dict(recipe)
        config["method"] = method_to_dict(recipe.method)
        return config


def _parents(pairs: Artifact, source: Artifact) -> tuple[Artifact, ...]:
    return (pairs,) if source.id == pairs.id else (pairs, source)


def _task(recipe: Recipe, source: Artifact, tokenizer: Tokenizer, out: str, track: Track) -> Task:
    """Its storage is named by what the run depends on: the same run resumes, another starts."""
    identity = json.dumps([to_dict(recipe), source.id, out], sort_keys=True).encode()
    run = f"{out.rsplit('/', 1)[-1]}-{hashlib.sha256(identity).hexdigest()[:12]}"
    return Task(recipe, source.uri, tokenizer.to_str(), run, f"{store_root()}/runs/{run}", track)


def _fit(task: Task) -> dict[str, Any]:
    train = task.recipe.train
    if is_local(task.storage):
        Path(task.storage).mkdir(parents=True, exist_ok=True)
    gpu = {"GPU": 1} if train.use_gpu else {}
    trainer = TorchTrainer(
        # Bound here, the task is read by the workers alone; a loop's config by the controller too.
        partial(train_worker, task),
        torch_config=TorchConfig(backend="nccl" if train.use_gpu else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=train.workers,
            use_gpu=train.use_gpu,
            resources_per_worker={"CPU": train.cpus_per_worker, **gpu},
        ),
        # Ray's types show the first version of its trainer's configuration; the second one runs.
        run_config=ray.train.RunConfig(  # type: ignore[call-arg]
            name="train",
            storage_path=task.storage,
            failure_config=ray.train.FailureConfig(max_failures=train.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            logging_config=ray.train.LoggingConfig(log_level="WARNING"),
            worker_runtime_env=None if train.use_gpu else {"env_vars": {"DS_ACCELERATOR": "cpu"}},
        ),
    )
    try:
        result = trainer.fit()
    except ray.train.WorkerGroupError as error:
        raise CrossRayError(_cause(error)) from error
    metrics = dict(result.metrics or {})
    if "refused" in metrics:
        raise CrossRayError(metrics["refused"])
    return metrics


def _forget(task: Task) -> None:
    """Remove the run's checkpoints; what is left are its TensorBoard files."""
    system, root = filesystem(task.storage)
    for entry in system.get_file_info(fs.FileSelector(root)):
        if entry.base_name == "train":
            system.delete_dir(entry.path)
        elif entry.base_name.startswith("best-"):
            system.delete_file(entry.path)


def _cause(error: ray.train.WorkerGroupError) -> str:
    """The sentence of a worker's own `CrossRayError`, or the first failure as it is."""
    for failure in error.worker_failures.values():
        cause = getattr(failure, "cause", failure)
        if isinstance(cause, CrossRayError):
            return str(cause)
    rank, failure = next(iter(error.worker_failures.items()))
    return f"training worker {rank} failed: {failure!r}; see the traceback above and its log."


def _headline(validation: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"validation R@10 {name.replace('_', ' ')}": part["R@10"]
        for name, part in validation.items()
    }
