"""Phases with DeepSpeed engines of their own, and exact checkpoints."""

from __future__ import annotations

import pytest
import torch.multiprocessing as mp

from crossray.training.engines import phase_parameters
from support.engines import CHECKS, Duel, check_all


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The traceback of every check that failed in the one process that runs them all."""
    folder = tmp_path_factory.mktemp("engines")
    mp.spawn(check_all, args=(str(folder),), nprocs=1)
    return {name: (folder / name).read_text() for name in CHECKS if (folder / name).exists()}


@pytest.mark.distributed
@pytest.mark.parametrize("check", CHECKS)
def test_engines(check: str, failures: dict[str, str]) -> None:
    """What an engine must not get wrong.

    An adversary that is updated by its opponent's loss does not train adversarially. A resumed run
    must be the run: weights, moments, schedule and random states; in stage 1
    also the weights that follow and the queue.
    """
    assert check not in failures, failures[check]


def test_phases_share_out_the_parameters() -> None:
    """A parameter in no phase would never learn."""
    method = Duel()
    names = [name for phase in method.phases() for name, _ in phase_parameters(method, phase)]
    assert sorted(names) == sorted(name for name, _ in method.named_parameters())
