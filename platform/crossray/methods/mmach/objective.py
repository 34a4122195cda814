"""The objective of MMACH, equations 5, 6, 9 and 10, over hash outputs of the training split.

H, F and G of the paper are `label_NK`, `image_NK` and `text_NK`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from crossray.methods.mmach.losses import quantisation_error, ranked_triplet_loss
from crossray.methods.mmach.triplets import Triplets

Weight = Literal["mean", "paper"]


@dataclass(frozen=True)
class Scale:
    """What sums over triplets and over rows are multiplied by in equation 10.

    `items`: n, of the training split, as many as triplets a set has in an epoch. `paper` weighs a
    set by 1 / (n^2 k), which leaves next to nothing of it against the codes; `mean` by one over the
    triplets that were drawn.
    """

    weight: Weight
    items: int
    bits: int

    def triplets(self, drawn: int) -> float:
        """Of a sum over a set of which `drawn` triplets are at hand."""
        count = self.items**2 if self.weight == "paper" else max(1, drawn)
        return 1 / (count * self.bits)

    def rows(self, at_hand: int) -> float:
        """Of a sum over rows of one modality, a third of equation 9."""
        count = self.items if self.weight == "paper" else at_hand
        return 1 / (3 * count * self.bits)


def image_label_loss(
    label_NK: Tensor,
    image_NK: Tensor,
    of_label: Triplets,
    of_image: Triplets,
    margins: tuple[float, float],
    scale: Scale,
) -> Tensor:
    r"""Equation 5, $J_{IL} = J(H; F, F \mid \gamma_1) + J(F; H, H \mid \gamma_2)$, in (10).

    Args:
        label_NK: H.
        image_NK: F.
        of_label: triplets of a label anchor and two images.
        of_image: triplets of an image anchor and two labels.
        margins: gamma 1 and 2.
        scale: the weights of equation 10.

    Returns:
        A scalar >= 0.
    """
    return _both_ways(label_NK, image_NK, (of_label, of_image), margins, scale)


def text_label_loss(
    label_NK: Tensor,
    text_NK: Tensor,
    of_label: Triplets,
    of_text: Triplets,
    margins: tuple[float, float],
    scale: Scale,
) -> Tensor:
    r"""Equation 6, $J_{TL} = J(H; G, G \mid \gamma_3) + J(G; H, H \mid \gamma_4)$, in (10).

    As `image_label_loss`, with texts for images.
    """
    return _both_ways(label_NK, text_NK, (of_label, of_text), margins, scale)


def common_code_loss(
    codes_NK: Tensor, outputs_NK: Tensor, rows_B: Tensor, alpha: float, scale: Scale
) -> Tensor:
    """One modality's part of alpha times equation 9, over the rows at hand; a scalar >= 0."""
    error = quantisation_error(codes_NK[rows_B], outputs_NK[rows_B])
    return alpha * scale.rows(len(rows_B)) * error


def _both_ways(
    x_NK: Tensor,
    y_NK: Tensor,
    triplets: tuple[Triplets, Triplets],
    margins: tuple[float, float],
    scale: Scale,
) -> Tensor:
    of_x, of_y = triplets
    x_anchors = ranked_triplet_loss(
        x_NK[of_x.anchor_A], y_NK[of_x.near_A], y_NK[of_x.far_A], margins[0]
    )
    y_anchors = ranked_triplet_loss(
        y_NK[of_y.anchor_A], x_NK[of_y.near_A], x_NK[of_y.far_A], margins[1]
    )
    return (
        scale.triplets(len(of_x.anchor_A)) * x_anchors
        + scale.triplets(len(of_y.anchor_A)) * y_anchors
    )
