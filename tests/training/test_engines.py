"""Phases with DeepSpeed engines of their own, and exact checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.multiprocessing as mp

from crossray.training.engines import phase_parameters
from support.engines import Duel, duel, interrupted


@pytest.mark.distributed
@pytest.mark.parametrize("zero_stage", [1, 2])
def test_a_phase_moves_only_its_own_parameters(zero_stage: int) -> None:
    """An adversary that is updated by its opponent's loss does not train adversarially."""
    mp.spawn(duel, args=(zero_stage,), nprocs=1)


@pytest.mark.distributed
def test_resuming_is_exact(tmp_path: Path) -> None:
    """A resumed run must be the run: weights, moments, schedule and random states."""
    mp.spawn(interrupted, args=(str(tmp_path),), nprocs=1)


def test_phases_share_out_the_parameters() -> None:
    """A parameter in no phase would never learn."""
    method = Duel()
    names = [name for phase in method.phases() for name, _ in phase_parameters(method, phase)]
    assert sorted(names) == sorted(name for name, _ in method.named_parameters())
