"""A checkpoint of two processes is gone on from by one, by two and by three."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file

from support.gathering import free_port
from support.resharding import STAGES, result_of, worker

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes trained to the end, and others from their checkpoint."""
    made = tmp_path_factory.mktemp("resharding")
    mp.spawn(worker, args=(2, str(made), free_port(), False), nprocs=2)
    for world in (1, 2, 3):
        mp.spawn(worker, args=(world, str(made), free_port(), True), nprocs=world)
    return made


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("stage", STAGES)
def test_any_number_goes_on(stage: int, world: int, folder: Path) -> None:
    """A cluster that shrinks or grows must neither lose the run nor bend it.

    Weights, moments and schedule are those of the undisturbed run.
    """
    whole = load_file(result_of(folder, stage, 0))
    found = load_file(result_of(folder, stage, world))
    start = load_file(folder / f"checkpoint-{stage}" / "model.safetensors")
    assert found.keys() == whole.keys()
    assert any(not torch.equal(whole[name], start[name]) for name in whole), "it has trained"
    for name, expected in whole.items():
        torch.testing.assert_close(found[name], expected, atol=2e-5, rtol=1e-4, msg=name)
