"""Codes that several modalities share, and how far outputs are from them (MMACH, eq. 7 and 9)."""

from __future__ import annotations

import torch
from torch import Tensor


def common_codes(*outputs_NK: Tensor) -> Tensor:
    r"""Equation 7: the codes nearest to the outputs of all modalities.

    $$B_i = \mathrm{sign}\big( (F_i + G_i + H_i) / 3 \big), \quad \mathrm{sign}(0) = +1$$

    Returns:
        `codes_NK` of -1 and +1, without gradient.
    """
    sum_NK = torch.stack(outputs_NK).detach().sum(dim=0)
    return torch.where(sum_NK >= 0, 1.0, -1.0).to(sum_NK.dtype)


def quantisation_error(codes_NK: Tensor, outputs_NK: Tensor) -> Tensor:
    r"""One modality's sum in equation 9, $\sum_i \|B_i - X_i\|^2$; a scalar >= 0."""
    return (codes_NK - outputs_NK).square().sum()
