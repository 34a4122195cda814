"""What the processes of the re-sharding tests run; importable by them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from crossray.core.types import Batch
from crossray.models.artifact import save_weights
from crossray.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from crossray.training.engine_state import full_state
from crossray.training.engines import PhaseEngine
from support.engines import recipe_of
from support.gathering import part_of
from support.tiny import IMAGE, TINY, batch_of

STAGES = (0, 1, 2, 3)
STEPS, SAVED = 6, 3
BATCH = 6


def result_of(folder: Path, stage: int, world: int) -> Path:
    """The weights after all steps, of which `world` processes took those after the checkpoint."""
    return folder / f"stage-{stage}-by-{world}.safetensors"


def batches() -> list[Batch]:
    """The same batches for any number of processes."""
    torch.manual_seed(5)
    return [batch_of(BATCH) for _ in range(STEPS)]


def worker(rank: int, world: int, folder: str, port: int, resume: bool) -> None:
    """Train at every stage: from the start and through a checkpoint, or from that checkpoint."""
    os.environ |= {
        "DS_ACCELERATOR": "cpu", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank),
    }  # fmt: skip
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    for stage in STAGES:
        train(rank, world, Path(folder), stage, resume)
    dist.destroy_process_group()


def train(rank: int, world: int, folder: Path, stage: int, resume: bool) -> None:
    """The steps of one stage."""
    # A trained tower normalises by its own process' rows, which are others with other processes.
    config = replace(TINY["clip"], image=replace(IMAGE, frozen=True))
    recipe = recipe_of(config, stage)
    recipe = replace(recipe, train=replace(recipe.train, workers=world))
    torch.manual_seed(0)
    method = config.build()
    engine = PhaseEngine(method, method.phases()[0], recipe, STEPS)
    kept = folder / f"checkpoint-{stage}"
    first = 0
    if resume:
        progress = load_checkpoint(kept, [engine])
        assert progress == Progress(step=SAVED)
        first = progress.step
    rows = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    for number, batch in enumerate(batches()):
        if number < first:
            continue
        engine.step([part_of(batch, rows)])
        if number + 1 == SAVED and not resume:
            kept.mkdir(exist_ok=True)
            dist.barrier()
            save_checkpoint(kept, [engine], Progress(step=SAVED))
    state = full_state(method)
    if rank == 0:
        save_weights(state, result_of(folder, stage, world if resume else 0))
    dist.barrier()
