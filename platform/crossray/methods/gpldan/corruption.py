"""Denoising: in training every input loses a random part (Vincent et al. 2008, section 2.3)."""

from __future__ import annotations

import torch
from torch import Tensor


def corrupted(features_BC: Tensor, share: float) -> Tensor:
    """The features with each value set to zero with probability `share`, drawn anew every time."""
    return features_BC * (torch.rand_like(features_BC) >= share)
