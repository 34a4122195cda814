"""The hash networks of images, texts and labels; all end in tanh (MMACH, equation 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossray.encoders.batch_norm import SyncBatchNorm

Norm = Literal["batch", "local_response"]


class MultiScale(nn.Module):
    """A vector and itself averaged at several scales, as channels (SSAH, Li et al. 2018)."""

    def __init__(self, scales: Sequence[int]) -> None:
        super().__init__()
        self.scales = tuple(scales)
        maps = [nn.Conv1d(1, 1, 1) for _ in self.scales]
        for convolution in maps:  # plain averages at first: one random sign may kill a scale
            nn.init.ones_(convolution.weight)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
        self.maps = nn.ModuleList(maps)

    def forward(self, x_BD: Tensor) -> Tensor:
        """`scales_BSD`: the vector itself, then one channel a scale."""
        whole_B1D = x_BD[:, None]
        channels = [whole_B1D]
        for scale, convolution in zip(self.scales, self.maps, strict=True):
            coarse = convolution(functional.avg_pool1d(whole_B1D, scale)).relu()
            channels.append(functional.interpolate(coarse, x_BD.shape[1], mode="linear"))
        return torch.cat(channels, dim=1)


class HashNetwork(nn.Module):
    """Image or text features to hash outputs: multi-scale, two hidden layers, tanh."""

    def __init__(
        self, dim: int, scales: Sequence[int], wide: int, narrow: int, bits: int, norm: Norm
    ) -> None:
        super().__init__()
        self.multi_scale = MultiScale(scales)
        # A convolution as long as the vector is a linear map of all channels.
        self.wide = nn.Linear((len(scales) + 1) * dim, wide)
        self.wide_norm = _norm(norm, wide)
        self.narrow = nn.Linear(wide, narrow)
        self.narrow_norm = _norm(norm, narrow)
        self.out = nn.Linear(narrow, bits)

    def forward(self, x_BD: Tensor) -> Tensor:
        """`outputs_BK` in (-1, 1)."""
        wide = self.wide_norm(self.wide(self.multi_scale(x_BD).flatten(1)).relu())
        narrow = self.narrow_norm(self.narrow(wide).relu())
        return torch.tanh(self.out(narrow))


class LocalResponseNorm(nn.Module):
    """Local response normalisation over the dimensions of a vector, as SSAH's code has it."""

    def forward(self, x_BD: Tensor) -> Tensor:
        """Of the shape of `x_BD`."""
        return functional.local_response_norm(x_BD[..., None], size=5)[..., 0]


def label_network(dim: int, hidden: int, bits: int) -> nn.Sequential:
    """Enhanced label features to hash outputs, two linear layers."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, bits), nn.Tanh())


def _norm(kind: Norm, dim: int) -> nn.Module:
    return SyncBatchNorm(dim) if kind == "batch" else LocalResponseNorm()
