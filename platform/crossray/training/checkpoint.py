"""Everything that a run needs to go on exactly where it stood."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from crossray.core.config import Config, from_dict
from crossray.core.distributed import rank
from crossray.models.artifact import WEIGHTS, save_weights
from crossray.training.engine_state import full_state, restore_full_state
from crossray.training.engines import PhaseEngine

PROGRESS = "progress.json"


@dataclass(frozen=True)
class Progress(Config):
    """How far a run has come.

    `step`: optimiser steps taken. `epoch`, `value`: the last epoch that was judged and the
    selection metric after it. `best_value`, `best_epoch`: the best so far, with the weights in
    `best_file` of the run's storage. `stopped`: early stopping has ended it.
    """

    step: int = 0
    epoch: int = 0
    value: float = -1.0
    best_value: float = -1.0
    best_epoch: int = -1
    best_file: str = ""
    best_metrics: dict[str, Any] | None = None
    stopped: bool = False


def save_checkpoint(folder: Path, engines: list[PhaseEngine], progress: Progress) -> None:
    """Write this process's part of a checkpoint; the parts of all processes merge in one folder.

    All but the random states is complete, so that any number of processes can go on from it.
    """
    model = full_state(engines[0].method)
    if rank() == 0:
        save_weights(model, folder / WEIGHTS)
    del model  # as large as each of the parts that follow
    for engine in engines:
        engine.save(folder)
    save_file(_random_states(), folder / _random_file())
    if rank() == 0:
        (folder / PROGRESS).write_text(json.dumps(asdict(progress)), encoding="utf-8")


def load_checkpoint(folder: Path, engines: list[PhaseEngine]) -> Progress:
    """Restore engines and random states from what `save_checkpoint` wrote.

    Exactly, with as many processes as wrote it; a process more keeps the random states it has.
    """
    restore_full_state(engines[0].method, load_file(folder / WEIGHTS))
    for engine in engines:
        engine.load(folder)
    if (folder / _random_file()).is_file():
        _restore_random_states(load_file(folder / _random_file()))
    data = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    return from_dict(Progress, data, where=f"the checkpoint {folder}")


def _random_file() -> str:
    return f"random-{rank()}.safetensors"


def _random_states() -> dict[str, torch.Tensor]:
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002 (libraries draw from it)
    version, internal, _ = random.getstate()
    assert version == 3
    states = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(np.append(keys, position).astype(np.int64)),
        "python": torch.tensor(internal),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_random_states(states: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(states["torch"])
    *keys, position = states["numpy"].tolist()
    numpy_state = ("MT19937", np.array(keys, dtype=np.uint32), position, 0, 0.0)
    np.random.set_state(numpy_state)  # noqa: NPY002
    random.setstate((3, tuple(states["python"].tolist()), None))
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
