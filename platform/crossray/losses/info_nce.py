"""InfoNCE over a score matrix (van den Oord et al. 2018, eq. 4; symmetric: Radford et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(scores_QC: Tensor, same_QC: Tensor) -> Tensor:
    r"""Mean over queries of the cross-entropy of the query's candidate.

    $$L = -\frac1Q \sum_q \log \frac{e^{s_{qq}}}{e^{s_{qq}} + \sum_{n \notin P(q)} e^{s_{qn}}}$$

    Args:
        scores_QC: scores already divided by the temperature; candidate q belongs to query q, Q = C.
        same_QC: bool, True where the candidate shows the query's study. Such candidates, other than
            the query's candidate, are left out of the sum: they are never negatives.

    Returns:
        A scalar >= 0.
    """
    right = torch.eye(len(scores_QC), dtype=torch.bool, device=scores_QC.device)
    logits = scores_QC.masked_fill(same_QC & ~right, float("-inf"))
    target = torch.arange(len(scores_QC), device=scores_QC.device)
    return functional.cross_entropy(logits, target)


def symmetric_info_nce(scores_BB: Tensor, same_BB: Tensor) -> Tensor:
    """The mean of image-to-text (rows) and text-to-image (columns) InfoNCE; a scalar >= 0."""
    return (info_nce(scores_BB, same_BB) + info_nce(scores_BB.T, same_BB.T)) / 2
