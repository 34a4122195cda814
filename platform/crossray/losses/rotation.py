"""Rotation prediction (Gidaris et al. 2018, eq. 3)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def rotation_loss(logits_B4: Tensor, turns_B: Tensor) -> Tensor:
    r"""Cross-entropy of the quarter turns by which each image was turned.

    $$L_{rot} = \frac1B \sum_b \mathrm{CE}\big(h_{rot}(f(R_{r_b} x_b)), r_b\big)$$

    Args:
        logits_B4: of 0, 1, 2 and 3 quarter turns.
        turns_B: long, the turns that were made.

    Returns:
        A scalar >= 0, in nats.
    """
    return functional.cross_entropy(logits_B4, turns_B)
