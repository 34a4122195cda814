"""The gradient of N processes equals that of the whole batch on one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch.multiprocessing as mp
from safetensors.torch import load_file

from support.gathering import METHODS, free_port, global_batch, gradients, worker

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The folder with what a number of processes computed together, once."""

    @cache
    def run(world: int) -> Path:
        folder = tmp_path_factory.mktemp("results")
        mp.spawn(worker, args=(world, str(folder), free_port()), nprocs=world)
        return folder

    return run


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_gradient_equals_the_whole_batch_gradient(
    name: str, world: int, results: Callable[[int], Path]
) -> None:
    """Gathering without gradient would silently train on a part of it.

    InfoNCE, HIER's levels, fusions and pretext tasks, GPLDAN's distances, the terms of
    distillation.
    """
    several = load_file(results(world) / f"{name}.safetensors")
    whole = gradients(name, global_batch(name))
    assert several.keys() == whole.keys()
    for key, expected in whole.items():
        # What a norm takes away again (a bias before it) has a gradient of rounding errors, 1e-13.
        error = (several[key] - expected).norm() / expected.norm().clamp(min=1e-7)
        assert error < 1e-5, key


def test_ragged_parts_are_padded(results: Callable[[int], Path]) -> None:
    """Texts of different lengths on different processes must line up, in the order of ranks."""
    found = load_file(results(2) / "gathered.safetensors")
    assert found["mask"].tolist() == [[1, 0], [1, 0], [1, 1], [1, 1]]
    assert found["numbers"][:, :, 0].tolist() == [[1, 0], [1, 0], [2, 2], [2, 2]]
    assert found["ranks"].tolist() == [0, 1]
