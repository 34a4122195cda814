"""Batch normalisation over the batch of all processes."""

import torch
from torch import Tensor, nn

from crossray.core.distributed import gather

_MOMENTUM, _EPSILON = 0.1, 1e-5


class SyncBatchNorm(nn.Module):
    """Zero mean and unit variance of every dimension, without scale and shift.

    Ioffe and Szegedy 2015, algorithm 1, with the moments of the batch of all processes, so that
    N processes compute what one would. Unlike `torch.nn.SyncBatchNorm` it runs on CPUs and leaves
    padding out. Evaluation uses running means of the moments.
    """

    mean_D: Tensor
    variance_D: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean_D", torch.zeros(dim))
        self.register_buffer("variance_D", torch.ones(dim))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`x`, [..., D], normalised.

        Args:
            x: rows of the batch, with any number of positions each.
            mask: bool, of the shape of `x` without D; False rows do not count for the moments.
        """
        mean_D, variance_D = self.mean_D, self.variance_D
        if self.training:
            mean_D, variance_D = self._moments(x.flatten(0, -2) if mask is None else x[mask])
        return ((x - mean_D) * torch.rsqrt(variance_D + _EPSILON)).to(x.dtype)

    def _moments(self, rows_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance over the rows of all processes, with gradient (Chan et al. 1979)."""
        rows_ND = rows_ND.to(torch.promote_types(rows_ND.dtype, torch.float32))
        count = rows_ND.new_tensor(float(len(rows_ND)))
        mean_D = rows_ND.sum(dim=0) / count.clamp(min=1)
        square_D = (rows_ND - mean_D).square().sum(dim=0)
        parts_P3D = gather(torch.stack([mean_D, square_D, count.expand_as(mean_D)])[None])
        means_PD, squares_PD, counts_PD = parts_P3D.unbind(dim=1)
        total_D = counts_PD.sum(dim=0).clamp(min=1)
        mean_D = (counts_PD * means_PD).sum(dim=0) / total_D
        square_D = (squares_PD + counts_PD * (means_PD - mean_D).square()).sum(dim=0)
        if total_D[0] > 1:
            with torch.no_grad():
                self.mean_D.lerp_(mean_D.to(self.mean_D.dtype), _MOMENTUM)
                unbiased_D = square_D / (total_D - 1)
                self.variance_D.lerp_(unbiased_D.to(self.variance_D.dtype), _MOMENTUM)
        return mean_D, square_D / total_D
