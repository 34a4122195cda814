"""The training loop of one worker process."""

import itertools
import logging
import os
import random
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import ray.train
import ray.train.torch
import torch
from pyarrow import fs
from torch import Tensor

from crossray.cluster.ray_private import train_context_logger
from crossray.core.distributed import barrier, rank, world_size
from crossray.core.errors import CrossRayError
from crossray.core.store import filesystem
from crossray.data.corpora.sampling import BatchSampler
from crossray.methods.recipe import Recipe
from crossray.model_evaluation.validation import Quality
from crossray.models.artifact import method_to_dict, save_weights
from crossray.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from crossray.training.engine_state import full_state
from crossray.training.engines import active_engines, engines_of, gradient_norms, passes_per_epoch
from crossray.training.initial_weights import start_from
from crossray.training.process import give_back_large_blocks, set_up_towers
from crossray.training.ray_metrics import CHECKPOINT_SECONDS, RayMetrics
from crossray.training.source import training_source
from crossray.training.spec import RunSpec
from crossray.training.throughput import SECONDS_BETWEEN_EPOCHS, SECONDS_WITHOUT_A_LINE, Pace
from crossray.training.tracking import Tracker, say_once, trackers


def train_worker(spec: RunSpec) -> None:
    """Train until the last epoch or early stopping, reporting checkpoints to Ray Train.

    An input that cannot be trained on is reported where all workers find it before the first step.
    """
    _quieten()
    try:
        worker = _Worker(spec)
    except CrossRayError as error:
        ray.train.report({"refused": str(error)})
        return
    try:
        worker.train()
    except Exception as error:
        if not isinstance(error, CrossRayError):
            traceback.print_exc()  # Ray hands on the exception alone
        raise


def _quieten() -> None:
    """Keep off the screen what libraries say of themselves in every run; errors stay."""
    # Our lines say the same of each report in fewer words.
    logging.getLogger(train_context_logger()).setLevel(logging.WARNING)
    for name in ("DeepSpeed", "torch.utils.cpp_extension"):  # whose levels are set when imported
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch|deepspeed")


class _Worker:
    def __init__(self, spec: RunSpec) -> None:
        self.spec, self.recipe = spec, spec.recipe
        seed = self.recipe.train.seed
        if self.recipe.deepspeed.zero_stage == 3:
            give_back_large_blocks()
        seed_everything(seed + rank())
        self.source = training_source(spec)
        torch.manual_seed(seed)  # every process starts from the same weights
        method = self.recipe.method.build()
        if spec.init is not None:
            taken = start_from(method, spec.init, towers=spec.source.kind == "pairs")
            say_once(taken.words(spec.init.uri))
        self.method = self.source.trainable(method)
        set_up_towers(self.method, self.recipe.train)
        self.passes = passes_per_epoch(self.method)
        self.sampler = sampler_of(self.recipe, len(self.source), self.passes)
        self.engines = engines_of(self.method, self.recipe, self.sampler.steps)
        torch.manual_seed(seed + rank())
        self.progress = self._resume()
        self.trackers: list[Tracker] = []
        if rank() == 0:
            parameters = {"method": method_to_dict(self.recipe.method), "recipe": self.recipe.name}
            folder = f"{spec.storage}/tensorboard"
            self.trackers = [
                *trackers(folder, spec.name, spec.track, parameters),
                RayMetrics(spec.name, world_size(), self.progress.step),
            ]

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, in which every phase has had its turn."""
        return self.sampler.steps_per_epoch * self.passes

    def _resume(self) -> Progress:
        latest, start = ray.train.get_checkpoint(), self.spec.start
        checkpoint = ray.train.Checkpoint(start) if latest is None and start is not None else latest
        if checkpoint is None:
            return Progress()
        with checkpoint.as_directory() as folder:
            progress = load_checkpoint(Path(folder), self.engines)
        if latest is None:  # the weights of its best epoch lie in the other run's storage
            progress = Progress(progress.step, progress.epoch, progress.value)
        say_once(f"resumed at step {progress.step} of {self.sampler.steps}")
        return progress

    def train(self) -> None:
        sampler = replace(self.sampler, start=self.progress.step)
        loader = self.source.loader(sampler)
        pace = Pace(self.progress.step, self.recipe.train.batch_size)
        if len(sampler) == 0 or self.progress.stopped:  # killed after the last checkpoint
            if self.progress.best_metrics is None:  # which was another run's
                self._validate(pace)
            self._report()
        for micro_batches in _grouped(pace.waits(loader), self.recipe.deepspeed.accumulation):
            if self.progress.stopped:
                break
            terms: dict[str, Tensor] = {}
            number = self.progress.step // self.sampler.steps_per_epoch
            for engine in active_engines(self.engines, number):
                terms.update(engine.step(micro_batches))
            self.progress = replace(self.progress, step=self.progress.step + 1)
            self.method.after_step(self.progress.step / self.sampler.steps)
            self._after_step(terms, pace)
        for tracker in self.trackers:
            tracker.close()

    def _after_step(self, terms: dict[str, Tensor], pace: Pace) -> None:
        step, per_epoch = self.progress.step, self.steps_per_epoch
        self._log(terms, pace)
        with pace.paused():
            if step % per_epoch == 0:
                self._validate(pace)
            if step % per_epoch == 0 or step % self.recipe.train.checkpoint_every == 0:
                self._report()

    def _report(self) -> None:
        began = monotonic()
        with tempfile.TemporaryDirectory() as folder:
            save_checkpoint(Path(folder), self.engines, self.progress)
            checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report({"progress": asdict(self.progress)}, checkpoint=checkpoint)
        self._track({CHECKPOINT_SECONDS: monotonic() - began})

    def _validate(self, pace: Pace) -> None:
        train = self.recipe.train
        device, dtype = self.engines[0].engine.device, self.engines[0].dtype
        quality = self.source.validate(self.method, device, dtype)
        self.method.train()
        epoch = self.progress.step // self.steps_per_epoch
        self.progress = judged(self.progress, self.recipe, quality, epoch)
        if self.progress.best_epoch == epoch:
            self._keep_best()
        self._track(
            {
                f"{train.selection}/{d}/{m}": v
                for d, part in quality.items()
                for m, v in part.items()
            }
        )
        both = "   ".join(
            f"{name.replace('_', ' ')} {_line(part)}" for name, part in quality.items()
        )
        if pace.speaks(SECONDS_BETWEEN_EPOCHS) or epoch == train.epochs:
            say_once(f"epoch {epoch}/{train.epochs}   {train.selection}: {both}")

    def _keep_best(self) -> None:
        state = full_state(self.method.published_method())
        if rank() == 0:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / self.progress.best_file
                save_weights(state, path)
                system, root = filesystem(self.spec.storage)
                system.create_dir(root, recursive=True)
                fs.copy_files(str(path), f"{root}/{path.name}", destination_filesystem=system)
        barrier()

    def _log(self, terms: dict[str, Tensor], pace: Pace) -> None:
        step = self.progress.step
        if rank() != 0 or not (pace.due() or step % self.steps_per_epoch == 0):
            return
        scalars = {f"loss/{name}": float(value) for name, value in terms.items()}
        scalars["loss/total"] = sum(scalars.values())
        scalars |= self.method.observations()
        scalars |= gradient_norms(self.engines)
        scalars["lr"] = self.engines[0].lr
        scalars |= pace.measured(step)
        self._track(scalars)
        if not pace.speaks(SECONDS_WITHOUT_A_LINE):
            return
        left = (self.sampler.steps - step) * scalars["seconds_per_step"]
        say_once(
            f"epoch {(step - 1) // self.steps_per_epoch + 1}/{self.recipe.train.epochs}"
            f"   step {step}/{self.sampler.steps}   loss {scalars['loss/total']:.4f}"
            f"   lr {scalars['lr']:.2e}   {scalars['seconds_per_step']:.2f} s/step"
            f"   at most {left:.0f} s left"
        )

    def _track(self, scalars: dict[str, float]) -> None:
        for tracker in self.trackers:
            tracker.log(scalars, self.progress.step)


def judged(progress: Progress, recipe: Recipe, quality: Quality, epoch: int) -> Progress:
    """The progress after validation: is it the best epoch, has patience run out?"""
    name = recipe.train.select_by
    values = [part[name] for part in quality.values() if name in part]
    mean = sum(values) / len(values) if values else 0.0
    value = float(epoch) if name == "last" else mean
    progress = replace(progress, epoch=epoch, value=value)
    if value > progress.best_value:
        return replace(
            progress,
            best_value=value,
            best_epoch=epoch,
            best_file=f"best-{epoch}.safetensors",
            best_metrics=quality,
        )
    return replace(progress, stopped=epoch - progress.best_epoch >= recipe.train.patience)


def sampler_of(recipe: Recipe, items: int, passes: int = 1) -> BatchSampler:
    """This process's batches, of `passes` passes over the items an epoch."""
    return BatchSampler(
        items,
        recipe.train.batch_size,
        recipe.train.epochs * passes,
        recipe.train.seed,
        (world_size(), rank()),
        recipe.deepspeed.accumulation,
        every_item=passes > 1,
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and keep cuBLAS deterministic."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries draw from it)
    torch.manual_seed(seed)


def _grouped(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while group := list(itertools.islice(batches, size)):
        yield group


def _line(part: dict[str, Any]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in part.items())
