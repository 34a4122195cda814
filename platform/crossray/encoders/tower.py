"""What image and text towers share: being frozen."""

from __future__ import annotations

import torch
from torch import nn


class Tower(nn.Module):
    """A trunk that may be frozen: then it stays in eval mode and outside of autograd."""

    frozen: bool = False

    def freeze(self) -> None:
        """Turn off gradients, dropout and running statistics for good."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Tower:
        """As `nn.Module.train`, but a frozen tower stays in eval mode."""
        super().train(mode and not self.frozen)
        return self

    def gradients(self) -> torch.set_grad_enabled:
        """The context of the forward pass: `no_grad` if frozen, else as it is outside."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen)
