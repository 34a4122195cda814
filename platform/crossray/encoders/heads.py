"""Heads that project a tower's output into the joint embedding space."""

from __future__ import annotations

from torch import nn


def projection_head(in_dim: int, hidden: int, out_dim: int, dropout: float = 0.0) -> nn.Sequential:
    """Two-layer perceptron, linear-GELU-dropout-linear; z_BD comes out un-normalised.

    The non-linear projection of SimCLR (Chen et al., 2020, section 4.2) with a GELU for the ReLU.
    """
    return nn.Sequential(
        nn.Linear(in_dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, out_dim)
    )
