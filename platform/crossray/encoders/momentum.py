"""An encoder that follows another one slowly."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional


class MomentumEncoder(nn.Module):
    """A copy of an image tower and its head whose weights are moving averages of theirs.

    He et al. 2020, section 3.2. The statistics of its batch norms are averages of theirs too, and
    it always normalises by them: so a key tells nothing of the batch that it came in (Cai et al.
    2021, "Exponential Moving Average Normalization", eq. 4).
    """

    def __init__(self, tower: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.tower, self.head = deepcopy(tower), deepcopy(head)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "MomentumEncoder":
        """Stays in eval mode."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, pixels_BCYX: Tensor) -> Tensor:
        """`z_BD`, unit length, without gradient."""
        grid_BCYX: Tensor = self.tower(pixels_BCYX)
        return functional.normalize(self.head(grid_BCYX.mean(dim=(2, 3))), dim=-1)

    @torch.no_grad()
    def follow(self, tower: nn.Module, head: nn.Module, momentum: float) -> None:
        """One step towards the weights and statistics of the encoder that is trained.

        `xi <- mu * xi + (1 - mu) * theta`; counters are copied.
        """
        for slow, other in ((self.tower, tower), (self.head, head)):
            theirs = other.state_dict()
            for name, value in slow.state_dict().items():
                if value.is_floating_point():
                    value.mul_(momentum).add_(theirs[name], alpha=1 - momentum)
                else:
                    value.copy_(theirs[name])
