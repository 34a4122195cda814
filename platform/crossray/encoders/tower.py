"""What image and text towers share: being frozen, and giving memory for time."""

from abc import ABC, abstractmethod

import torch
from torch import nn


class Tower(nn.Module, ABC):
    """A trunk that may be frozen: then it stays in eval mode and outside of autograd."""

    frozen: bool = False

    def freeze(self) -> None:
        """Turn off gradients, dropout and running statistics for good."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Tower":
        """As `nn.Module.train`, but a frozen tower stays in eval mode."""
        super().train(mode and not self.frozen)
        return self

    def recompute(self) -> None:
        """Keep the inputs of layers only, and run them again in the backward pass.

        Activation checkpointing (Chen et al. 2016); a frozen tower keeps nothing anyway. Raises
        `CrossRayError` for a trunk that cannot.
        """
        if not self.frozen:
            self._recompute()

    @abstractmethod
    def _recompute(self) -> None:
        """Tell the trunk to."""

    def gradients(self) -> torch.set_grad_enabled:
        """The context of the forward pass: `no_grad` if frozen, else as it is outside."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)
