"""Learned weights of several losses that stay positive (Kendall et al. 2018, eq. 10)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def log_variances(weights: Sequence[float]) -> Tensor:
    """The parameters `s_i = -ln(weight_i)` whose weights `exp(-s_i)` start at `weights`."""
    return torch.tensor([-math.log(weight) for weight in weights])


def uncertainty_weighted(loss: Tensor, log_variance: Tensor) -> Tensor:
    """`exp(-s) L + s`, minimal in s at `s = ln L`: the weight stays positive and finite.

    Minimising `sum_i w_i L_i` over free weights would drive them to minus infinity (or, with a
    softmax, onto the smallest loss); the added `s` prevents it.
    """
    return torch.exp(-log_variance) * loss + log_variance
