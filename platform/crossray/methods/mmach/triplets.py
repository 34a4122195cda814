"""Triplets by the number of labels in common, drawn by rejection (docs/methods/mmach.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Rows of the training split: anchors share more labels with `near` than with `far`.

    The anchor's output is of one modality, those of the other two both of another.
    """

    anchor_A: Tensor
    near_A: Tensor
    far_A: Tensor
    skipped: int


def draw_triplets(
    labels_NC: Tensor, anchors_A: Tensor, candidates_M: Tensor, rng: np.random.Generator, tries: int
) -> Triplets:
    """One triplet an anchor, near and far drawn evenly from the candidates until they fit.

    Near may be the row of the anchor. An anchor that `tries` draws do not serve is skipped: those
    without label, and those that share as many labels with all candidates.
    """
    device = labels_NC.device
    near_A, far_A = anchors_A.clone(), anchors_A.clone()
    waiting = torch.arange(len(anchors_A), device=device)
    for _ in range(tries):
        if not len(waiting):
            break
        drawn = rng.integers(len(candidates_M), size=(2, len(waiting)))
        near_W, far_W = candidates_M[torch.from_numpy(drawn).to(device)]
        own_WC = labels_NC[anchors_A[waiting]]
        near_count_W = (own_WC * labels_NC[near_W]).sum(dim=1)
        fits_W = near_count_W > (own_WC * labels_NC[far_W]).sum(dim=1)
        near_A[waiting[fits_W]], far_A[waiting[fits_W]] = near_W[fits_W], far_W[fits_W]
        waiting = waiting[~fits_W]
    served_A = torch.ones(len(anchors_A), dtype=torch.bool, device=device)
    served_A[waiting] = False
    return Triplets(anchors_A[served_A], near_A[served_A], far_A[served_A], len(waiting))
