"""Losses of MMACH (Zou et al. 2022).

Codes that several modalities share, and how far outputs are from them (equations 7 and 9);
cross-modal triplets by the number of labels in common (equation 4); cosines of hash outputs that
are to be those of label vectors (MMACH-MSE).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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


def label_cosine_loss(
    a_AK: Tensor, b_BK: Tensor, a_labels_AC: Tensor, b_labels_BC: Tensor
) -> Tensor:
    r"""Mean over all pairs of the squared error of the cosine, of the triplets' place in MMACH-MSE.

    $$J = \mathrm{mean}\big( [\cos(h_a, h_b)]_+ - s_{ab} \big)^2$$

    s is the cosine of the label vectors, 0 where an item has no label. Returns a scalar in [0, 1].
    """
    similarity_AB = _cosines(a_labels_AC, b_labels_BC)
    return (_cosines(a_AK, b_BK).relu() - similarity_AB).square().mean()


def _cosines(a_AD: Tensor, b_BD: Tensor) -> Tensor:
    a_AD, b_BD = (functional.normalize(x, dim=1, eps=1e-12) for x in (a_AD, b_BD))
    return a_AD @ b_BD.T


def ranked_triplet_loss(
    anchor_AK: Tensor, near_AK: Tensor, far_AK: Tensor, margin: float
) -> Tensor:
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
