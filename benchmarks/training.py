"""Samples a second under Ray Train and DeepSpeed against a bare PyTorch loop (DDP) in the same run.

    python benchmarks/training.py [--recipe hier_tiny] [--items 1200] [--rounds 2]

Both train the same model from the same seed on the same synthetic films, with as many processes of
one thread each, the same batches, clipping, optimiser and schedule; neither validates or saves
while it is timed. They take turns. Prints a table and, last, one JSON object: `ratio`, CrossRay's
median samples a second over the bare loop's, and `waiting_share`, the share of CrossRay's time that
it waited for batches.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import tyro
from rich.console import Console
from rich.table import Table
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR

from crossray.cli import main
from crossray.core.artifacts import open_artifact
from crossray.core.types import Batch
from crossray.data.corpora.loading import training_loader
from crossray.data.tokenization import Tokenizer
from crossray.methods.contract import Trainable, TrainingSet
from crossray.methods.recipe import Recipe
from crossray.models.corpora import training_corpora
from crossray.models.fitting import fitted, make_tokenizer
from crossray.recipes import get_recipe
from crossray.stages.pretrain import Pretrain
from crossray.training.loop import sampler_of

SKIPPED = 5  # steps until caches, allocators and clocks have settled
SPEED, WAITING = "samples_per_second", "waiting_share"


@dataclass(frozen=True)
class Benchmark:
    """Time both loops.

    Attributes:
        recipe: whose method is trained, with its batch size and its processes.
        items: synthetic films.
        epochs: passes over them a round.
        rounds: how often each loop runs.
        loader_processes: that read and augment, a worker; by default the recipe's.
    """

    recipe: str = "hier_tiny"
    items: int = 1200
    epochs: int = 2
    rounds: int = 2
    loader_processes: int | None = None

    def run(self) -> None:
        """Make the films, take turns, print."""
        recipe = get_recipe(self.recipe)
        processes = self.loader_processes
        train = replace(
            recipe.train, epochs=self.epochs, select_by="last", validation_items=2,
            checkpoint_every=10**6,
            loader_processes=recipe.train.loader_processes if processes is None else processes,
        )  # fmt: skip
        recipe = replace(recipe, train=train)
        ours: list[float] = []
        waits: list[float] = []
        bare: list[float] = []
        with tempfile.TemporaryDirectory() as scratch:
            os.environ["CROSSRAY_STORE"] = scratch
            main(["ingest", "phantom", "--items", str(self.items), "--out", "films"])
            for number in range(self.rounds):
                speed, waiting = _with_crossray(recipe, f"teacher-{number}")
                ours.append(speed)
                waits.append(waiting)
                bare.append(_bare(recipe, Path(scratch)))
        self._print(ours, waits, bare)

    def _print(self, ours: list[float], waits: list[float], bare: list[float]) -> None:
        table = Table(title=f"{self.recipe}: samples a second, one row a round")
        for column in ("Ray Train and DeepSpeed", "waiting", "bare loop"):
            table.add_column(column)
        for speed, waiting, other in zip(ours, waits, bare, strict=True):
            table.add_row(f"{speed:.1f}", f"{waiting:.1%}", f"{other:.1f}")
        Console(width=100).print(table)
        result = {
            "ratio": round(median(ours) / median(bare), 3),
            "waiting_share": round(median(waits), 4),
            "samples_per_second": round(median(ours), 1),
            "bare": round(median(bare), 1),
        }
        print(json.dumps(result))


def _with_crossray(recipe: Recipe, out: str) -> tuple[float, float]:
    """Samples a second and the share of waiting that a run logs of itself."""
    teacher = Pretrain("films", out, recipe).run()
    events = EventAccumulator(teacher.manifest.metrics["tensorboard"]).Reload()
    speed, waiting = (
        median(event.value for event in events.Scalars(name) if event.step > SKIPPED)
        for name in (SPEED, WAITING)
    )
    return speed, waiting


def _bare(recipe: Recipe, scratch: Path) -> float:
    """Samples a second of the bare loop, from the first process."""
    films = open_artifact(f"{os.environ['CROSSRAY_STORE']}/films", "pairs")
    tokenizer = make_tokenizer(recipe.tokenizer, films)
    rendezvous, result = scratch / "rendezvous", scratch / "seconds.json"
    rendezvous.unlink(missing_ok=True)
    arguments = (fitted(recipe, tokenizer), films.uri, tokenizer.to_str(), rendezvous, result)
    multiprocessing.spawn(_process, arguments, nprocs=recipe.train.workers)
    return float(json.loads(result.read_text()))


class _Losses(nn.Module):
    def __init__(self, method: Trainable[Any]) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch) -> Tensor:
        terms = self.method.phase_losses(self.method.phases()[0], batch)
        return torch.stack(list(terms.values())).sum()


def _process(
    rank: int, recipe: Recipe, films: str, words: str, rendezvous: Path, result: Path
) -> None:
    torch.set_num_threads(recipe.train.cpus_per_worker)
    workers = recipe.train.workers
    dist.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=workers
    )
    tokenizer = Tokenizer.from_str(words)
    corpus, _ = training_corpora(recipe, open_artifact(films), tokenizer)
    torch.manual_seed(recipe.train.seed)
    model = DistributedDataParallel(
        _Losses(recipe.method.build().prepare(TrainingSet(recipe.train.seed)))
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), recipe.optimizer.lr, recipe.optimizer.betas,
        weight_decay=recipe.optimizer.weight_decay,
    )  # fmt: skip
    sampler = sampler_of(recipe, len(corpus))
    schedule = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))
    loader = training_loader(corpus, sampler, recipe.train.seed, recipe.train.loader_processes)
    steps = began = 0
    for number, batch in enumerate(loader):
        if number == SKIPPED:
            dist.barrier()
            steps, began = 0, time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        model(batch).backward()
        if recipe.deepspeed.gradient_clipping:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.deepspeed.gradient_clipping)
        optimizer.step()
        schedule.step()
        steps += 1
    seconds = time.perf_counter() - began
    if rank == 0:
        result.write_text(json.dumps(steps * recipe.train.batch_size / seconds))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
