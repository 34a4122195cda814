"""How a training process computes and what it does with memory."""

from __future__ import annotations

import ctypes

from torch import nn

from crossray.encoders.tower import Tower
from crossray.methods.recipe import TrainConfig

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE = 1 << 20  # bytes


def set_up_towers(method: nn.Module, train: TrainConfig) -> None:
    """Let all towers of a method recompute activations, or compile them, as the run asks.

    Raises `CrossRayError` for a tower that cannot recompute.
    """
    for tower in method.modules():
        if not isinstance(tower, Tower):
            continue
        if train.recompute:
            tower.recompute()
        if train.compile:
            tower.compile()


def give_back_large_blocks() -> None:
    """From now on a block of a mebibyte or more goes back to the system when it is freed.

    Otherwise glibc raises that limit up to 32 MiB with the blocks it sees and keeps those below.
    ZeRO-3 assembles parameters and drops them all the time, which left as much kept as in use.
    Other C libraries stay as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
