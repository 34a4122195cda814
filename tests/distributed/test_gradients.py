"""The gradient of N processes equals that of the whole batch on one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.multiprocessing as mp
from safetensors.torch import load_file

from support.gathering import collect, free_port, global_batch, gradients, worker
from support.tiny import TINY


@pytest.mark.distributed
@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("name", [*sorted(TINY), "distillation"])
def test_gradient_equals_the_whole_batch_gradient(name: str, world: int, tmp_path: Path) -> None:
    """Gathering without gradient would silently train on a part of it.

    InfoNCE, HIER's levels, the terms of distillation.
    """
    mp.spawn(worker, args=(world, name, str(tmp_path), free_port()), nprocs=world)
    several = load_file(tmp_path / "gradients.safetensors")
    whole = gradients(name, global_batch())
    assert several.keys() == whole.keys()
    for key, expected in whole.items():
        # What a norm takes away again (a bias before it) has a gradient of rounding errors, 1e-16.
        error = (several[key] - expected).norm() / expected.norm().clamp(min=1e-9)
        assert error < 1e-5, key


@pytest.mark.distributed
def test_ragged_parts_are_padded(tmp_path: Path) -> None:
    """Texts of different lengths on different processes must line up, in the order of ranks."""
    mp.spawn(collect, args=(2, str(tmp_path), free_port()), nprocs=2)
    found = load_file(tmp_path / "gathered.safetensors")
    assert found["mask"].tolist() == [[1, 0], [1, 0], [1, 1], [1, 1]]
    assert found["numbers"][:, :, 0].tolist() == [[1, 0], [1, 0], [2, 2], [2, 2]]
    assert found["ranks"].tolist() == [0, 1]
