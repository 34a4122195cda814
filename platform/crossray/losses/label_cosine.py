"""Cosines of hash outputs that are to be those of label vectors (MMACH-MSE)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


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
