"""Cross-modal triplets by the number of labels in common (MMACH, Zou et al. 2022, eq. 4)."""

from __future__ import annotations

from torch import Tensor


def label_triplet_loss(anchor_AK: Tensor, near_AK: Tensor, far_AK: Tensor, margin: float) -> Tensor:
    r"""Equation 4: the sum over triplets of how far the near item is from being nearer.

    $$J(a; b, c \mid \gamma) = \sum \big[ \|a-b\|^2 - \|a-c\|^2 + \gamma \big]_+$$

    Args:
        anchor_AK: hash outputs of one modality.
        near_AK: those of the other modality that share more labels with the anchor.
        far_AK: those of the other modality that share fewer.
        margin: gamma; codes of -1 and +1 that differ in one bit more are 4 farther.

    Returns:
        A scalar >= 0.
    """
    near_A = (anchor_AK - near_AK).square().sum(dim=1)
    far_A = (anchor_AK - far_AK).square().sum(dim=1)
    return (near_A - far_A + margin).relu().sum()
