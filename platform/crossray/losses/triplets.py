"""Triplet losses on labels: an item lies closer to those it shares a label with than to others.

Functions of the two distances of a triplet, and their mean over all triplets of a batch.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_EPS = 1e-12

TripletTerm = Callable[[Tensor, Tensor], Tensor]
TripletForm = Literal["margin", "ratio"]


class Roles(NamedTuple):
    """Bool [B, B], row an anchor: which columns may be its positives, and which its negatives."""

    positive_BB: Tensor
    negative_BB: Tensor


def margin_term(positive: Tensor, negative: Tensor, margin: float = 0.2) -> Tensor:
    r"""The hinge $[d^+ - d^- + m]_+$ of the distances to a positive and to a negative."""
    return (positive - negative + margin).clamp(min=0)


def ratio_term(positive: Tensor, negative: Tensor) -> Tensor:
    r"""The softmax ratio of Hoffer and Ailon (2015), in (0, 1).

    $$\left( \frac{e^{d^+}}{e^{d^+} + e^{d^-}} \right)^2$$
    """
    return torch.sigmoid(positive - negative).square()


def triplet_term(form: TripletForm, margin: float) -> TripletTerm:
    """`margin_term` or `ratio_term`, which has no margin."""
    return partial(margin_term, margin=margin) if form == "margin" else ratio_term


def label_roles(labels_BC: Tensor) -> Roles:
    """Positives share a label with the anchor and are not itself; negatives share none.

    An item without labels has no positives, and is a negative of every other.
    """
    shares_BB = labels_BC @ labels_BC.T > 0
    itself_BB = torch.eye(len(labels_BC), dtype=torch.bool, device=labels_BC.device)
    return Roles(shares_BB & ~itself_BB, ~shares_BB & ~itself_BB)


def euclidean_distances(x_BD: Tensor) -> Tensor:
    """`distances_BB` of all pairs of rows; the gradient at 0 is 0."""
    squares_BB = (x_BD[:, None] - x_BD[None]).square().sum(dim=-1)
    return squares_BB.clamp(min=_EPS).sqrt()


def mean_squared_distances(x_BD: Tensor) -> Tensor:
    """`distances_BB`: the squared difference averaged over the dimensions."""
    return (x_BD[:, None] - x_BD[None]).square().mean(dim=-1)


def mean_over_triplets(distances_BB: Tensor, roles: Roles, term: TripletTerm) -> Tensor:
    r"""The mean of a term over every anchor's every pair of a positive and a negative.

    $$\frac{1}{|T|} \sum_{(a, p, n) \in T} l(d_{ap}, d_{an})$$

    Returns a scalar; 0, still connected to the distances, where there is no triplet.
    """
    total = distances_BB.sum() * 0.0
    count = 0
    for distances_B, positive_B, negative_B in zip(distances_BB, *roles, strict=True):
        values_PN = term(distances_B[positive_B][:, None], distances_B[negative_B][None])
        total = total + values_PN.sum()
        count += values_PN.numel()
    return total / max(1, count)


def label_triplet_loss(z_BD: Tensor, labels_BC: Tensor, term: TripletTerm) -> Tensor:
    """`mean_over_triplets` of the Euclidean distances of unit-length rows, roles by labels."""
    distances_BB = euclidean_distances(functional.normalize(z_BD, dim=-1))
    return mean_over_triplets(distances_BB, label_roles(labels_BC), term)
