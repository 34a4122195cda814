"""The training loop of one worker process."""

from __future__ import annotations

import itertools
import logging
import os
import random
import tempfile
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import ray.train
import ray.train.torch
import torch
from pyarrow import fs
from torch import Tensor

from crossray.cluster.ray_private import TRAIN_CONTEXT_LOGGER
from crossray.core.artifacts import open_artifact
from crossray.core.distributed import barrier, rank, world_size
from crossray.core.errors import CrossRayError
from crossray.core.store import filesystem
from crossray.core.types import Batch, TextBatch
from crossray.data.corpora.corpus import Corpus
from crossray.data.corpora.loading import multi_hot, training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.pretext.samples import PretextSamples, pretext_loader
from crossray.data.tokenization import Tokenizer
from crossray.distill import Distillation
from crossray.methods.contract import (
    SupervisedConfig,
    TrainingSet,
    Unimodal,
    UnimodalConfig,
)
from crossray.methods.recipe import Recipe
from crossray.methods.student import Student
from crossray.model_evaluation.pretext_validation import validate_pretext
from crossray.model_evaluation.validation import Quality, validate
from crossray.models.artifact import load_model, method_to_dict, save_weights
from crossray.models.corpora import pretext_samples, training_corpora
from crossray.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from crossray.training.engine_state import whole_state
from crossray.training.engines import engines_of, gradient_norms, taking_part, turns_of
from crossray.training.initial_weights import start_from
from crossray.training.malloc import give_back_large_blocks
from crossray.training.ray_metrics import CHECKPOINT_SECONDS, RayMetrics
from crossray.training.teacher import Lesson, taught_corpora
from crossray.training.throughput import SECONDS_BETWEEN_EPOCHS, SECONDS_WITHOUT_A_LINE, Pace
from crossray.training.towers import set_up_towers
from crossray.training.tracking import Track, Tracker, trackers


@dataclass(frozen=True)
class Task:
    """What every worker is told.

    `source`: URI of the `pairs` or `features` artifact it reads. `tokenizer`: None where the source
    is a feature set. `lesson`: who teaches, if anyone. `init`: URI of the teacher whose weights the
    model starts from, if any. `start`: URI of another run's checkpoint that this one goes on from.
    """

    recipe: Recipe
    source: str
    tokenizer: str | None
    run: str
    storage: str
    track: Track
    lesson: Lesson | None = None
    init: str | None = None
    start: str | None = None


def train_worker(task: Task) -> None:
    """Train until the last epoch or early stopping, reporting checkpoints to Ray Train.

    An input that cannot be trained on is reported where all workers find it before the first step.
    """
    _quieten()
    try:
        worker = _Worker(task)
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
    logging.getLogger(TRAIN_CONTEXT_LOGGER).setLevel(logging.WARNING)
    for name in ("DeepSpeed", "torch.utils.cpp_extension"):  # whose levels are set when imported
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch|deepspeed")


class _Worker:
    def __init__(self, task: Task) -> None:
        self.task, self.recipe = task, task.recipe
        if self.recipe.deepspeed.zero_stage == 3:
            give_back_large_blocks()
        seed_everything(self.recipe.train.seed + rank())
        tokenizer = None if task.tokenizer is None else Tokenizer.from_str(task.tokenizer)
        source = open_artifact(task.source, ("pairs", "features"))
        lesson, teacher = task.lesson, None
        self.corpus: Corpus | PretextSamples
        self.validation: Corpus | PretextSamples
        if isinstance(self.recipe.method, UnimodalConfig):
            assert tokenizer is not None
            self.corpus, self.validation = pretext_samples(self.recipe, source, tokenizer)
        elif lesson is None:
            self.corpus, self.validation = training_corpora(self.recipe, source, tokenizer)
        else:
            self._say("asking the teacher about the training split")
            assert tokenizer is not None
            teacher = load_model(open_artifact(lesson.teacher, "teacher")).method
            self.corpus, self.validation = taught_corpora(
                lesson, teacher, self.recipe, source, tokenizer, f"{task.storage}/teaching"
            )
        torch.manual_seed(self.recipe.train.seed)  # every process starts from the same weights
        self.method = self.recipe.method.build()
        if task.init is not None:
            earlier = open_artifact(task.init, "teacher")
            taken = start_from(self.method, earlier, towers=source.kind == "pairs")
            self._say(taken.words(task.init))
        if lesson is not None and teacher is not None:
            assert isinstance(self.method, Student)
            self.method = Distillation(self.method, teacher, lesson.config)
        self.method = self.method.prepare(self._training_set(tokenizer))
        set_up_towers(self.method, self.recipe.train)
        self.turns = turns_of(self.method)
        self.sampler = sampler_of(self.recipe, len(self.corpus), self.turns)
        self.engines = engines_of(self.method, self.recipe, self.sampler.steps)
        torch.manual_seed(self.recipe.train.seed + rank())
        self.progress = self._resume()
        self.trackers: list[Tracker] = []
        if rank() == 0:
            parameters = {"method": method_to_dict(self.recipe.method), "recipe": self.recipe.name}
            folder = f"{task.storage}/tensorboard"
            self.trackers = [
                *trackers(folder, task.run, task.track, parameters),
                RayMetrics(task.run, world_size(), self.progress.step),
            ]

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns of the labels that batches have; empty where the method needs none."""
        method = self.recipe.method
        return method.labels if isinstance(method, SupervisedConfig) else ()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, in which every phase has had its turn."""
        return self.sampler.steps_per_epoch * self.turns

    def _training_set(self, tokenizer: Tokenizer | None) -> TrainingSet:
        names, max_tokens = self.label_names, self.recipe.method.text.max_tokens

        def encode(texts: Sequence[str]) -> TextBatch:
            assert tokenizer is not None
            return tokenizer.encode([[text] for text in texts], max_tokens)

        labels_NC = None
        if names and isinstance(self.corpus, Corpus):
            labels_NC = multi_hot(self.corpus.labels, names)
        seed = self.recipe.train.seed
        return TrainingSet(seed, labels_NC, None if tokenizer is None else encode)

    def _resume(self) -> Progress:
        own, start = ray.train.get_checkpoint(), self.task.start
        checkpoint = ray.train.Checkpoint(start) if own is None and start is not None else own
        if checkpoint is None:
            return Progress()
        with checkpoint.as_directory() as folder:
            progress = load_checkpoint(Path(folder), self.engines)
        if own is None:  # the weights of its best epoch lie in the other run's storage
            progress = Progress(progress.step, progress.epoch, progress.value)
        self._say(f"resumed at step {progress.step} of {self.sampler.steps}")
        return progress

    def train(self) -> None:
        sampler = replace(self.sampler, start=self.progress.step)
        loader = self._loader(sampler)
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
            for engine in taking_part(self.engines, number):
                terms.update(engine.step(micro_batches))
            self.progress = replace(self.progress, step=self.progress.step + 1)
            self.method.after_step(self.progress.step / self.sampler.steps)
            self._after_step(terms, pace)
        for tracker in self.trackers:
            tracker.close()

    def _loader(self, sampler: BatchSampler) -> Iterable[Batch]:
        train = self.recipe.train
        if isinstance(self.corpus, PretextSamples):
            return pretext_loader(self.corpus, sampler, train.loader_processes)
        return training_loader(
            self.corpus,
            sampler,
            train.seed,
            train.loader_processes,
            self.label_names,
            not self.recipe.method.image_only,
            self.recipe.augment.sentences,
        )

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
        if isinstance(self.validation, PretextSamples):
            assert isinstance(self.method, Unimodal)
            items = train.validation_items
            quality = validate_pretext(self.method, self.validation, items, device, dtype)
        else:
            quality = validate(
                self.method, self.validation, train.validation_items, train.rerank, device, dtype,
                train.select_by,
            )  # fmt: skip
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
            self._say(f"epoch {epoch}/{train.epochs}   {train.selection}: {both}")

    def _keep_best(self) -> None:
        state = whole_state(self.method.product())
        if rank() == 0:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / self.progress.best_file
                save_weights(state, path)
                system, root = filesystem(self.task.storage)
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
        self._say(
            f"epoch {(step - 1) // self.steps_per_epoch + 1}/{self.recipe.train.epochs}"
            f"   step {step}/{self.sampler.steps}   loss {scalars['loss/total']:.4f}"
            f"   lr {scalars['lr']:.2e}   {scalars['seconds_per_step']:.2f} s/step"
            f"   at most {left:.0f} s left"
        )

    def _track(self, scalars: dict[str, float]) -> None:
        for tracker in self.trackers:
            tracker.log(scalars, self.progress.step)

    def _say(self, line: str) -> None:
        if rank() == 0:
            print(line, flush=True)


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


def sampler_of(recipe: Recipe, items: int, turns: int = 1) -> BatchSampler:
    """This process's batches, of `turns` passes over the items an epoch."""
    return BatchSampler(
        items,
        recipe.train.batch_size,
        recipe.train.epochs * turns,
        recipe.train.seed,
        (world_size(), rank()),
        recipe.deepspeed.accumulation,
        every_item=turns > 1,
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and keep cuBLAS deterministic."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries draw from it)
    torch.manual_seed(seed)


def _grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    while group := list(itertools.islice(batches, size)):
        yield group


def _line(part: dict[str, Any]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in part.items())
