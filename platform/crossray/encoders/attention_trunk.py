"""The small residual network of ATH, with spatial attention, as an image tower's trunk.

Attention-based triplet hashing (fjssharpsword/ATH): three residual blocks of 16, 8 and 1 channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "ath"


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a 1 x 1 one; the first of each path has the stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.norm3 = nn.BatchNorm2d(out_channels)

    def forward(self, x_BCYX: Tensor) -> Tensor:
        """The sum of both paths after a ReLU, smaller by the stride."""
        path_BCYX = functional.relu(self.norm1(self.conv1(x_BCYX)))
        path_BCYX = self.norm2(self.conv2(path_BCYX))
        return functional.relu(path_BCYX + self.norm3(self.shortcut(x_BCYX)))


class SpatialAttention(nn.Module):
    """Each cell weighted by sigmoid(conv([mean, maximum] over the channels))."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, x_BCYX: Tensor) -> Tensor:
        """The map, weighted."""
        summary_B2YX = torch.stack([x_BCYX.mean(dim=1), x_BCYX.amax(dim=1)], dim=1)
        return x_BCYX * torch.sigmoid(self.conv(summary_B2YX))


class AttentionTrunk(nn.Module):
    """256 pixels become 64 features: the last map has one channel, whose cells are the features."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = ResidualBlock(3, 16, 2)
        self.attention = SpatialAttention()
        self.block2 = ResidualBlock(16, 8, 2)
        self.block3 = ResidualBlock(8, 1, 2)

    def forward_features(self, pixels_BCYX: Tensor) -> Tensor:
        """A map of one cell, its channels the cells of the last block."""
        x_BCYX = functional.max_pool2d(self.block1(pixels_BCYX), 2)
        x_BCYX = functional.avg_pool2d(self.block2(self.attention(x_BCYX)), 2)
        last_BCYX: Tensor = self.block3(x_BCYX)
        return last_BCYX.flatten(1)[:, :, None, None]
