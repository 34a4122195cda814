"""How the towers of a run compute."""

from __future__ import annotations

from torch import nn

from crossray.encoders.tower import Tower
from crossray.methods.recipe import TrainConfig


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
