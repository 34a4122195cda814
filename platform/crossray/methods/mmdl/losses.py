"""Embeddings that a coupling matrix must turn into labels (MMDL, eq. 1)."""

from __future__ import annotations

from torch import Tensor

_EPS = 1e-12


def row_norms(rows_BC: Tensor) -> Tensor:
    """`norm_B`, Euclidean; the gradient of a row of zeros is zero, not NaN."""
    return rows_BC.square().sum(dim=-1).clamp(min=_EPS**2).sqrt()


def label_residual(h_BD: Tensor, coupling_DC: Tensor, labels_BC: Tensor) -> Tensor:
    r"""Equation 1: the mean over the rows of the distance between mapped embedding and labels.

    $$L^i = \frac{1}{n_i} \sum_j \lVert P^T h^i_j - y^i_j \rVert_2$$

    The norm is not squared, so a row far from its labels pulls no harder than one that is close.

    Args:
        h_BD: embeddings of one modality.
        coupling_DC: P, which all modalities share.
        labels_BC: 1 where a row carries a label, else 0.

    Returns:
        A scalar >= 0.
    """
    return row_norms(h_BD @ coupling_DC - labels_BC).mean()
