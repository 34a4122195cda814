"""Fewer hubs: scores are lowered by how near their items are to everything (CSLS).

Some texts are near to many images, and stand among the first hits of queries that they have nothing
to do with. Conneau et al. 2018, "Word Translation Without Parallel Data", section 2.3, lower a
score by the mean cosine of either item with its nearest neighbours; here these are sought among
anchors, items of the training split. Vectors get four dimensions more, with which their inner
products are those scores, so that an index ranks by them as it ranks by any other vectors.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from crossray.core.config import Config

EXTRA = 4  # dimensions


@dataclass(frozen=True)
class HubnessConfig(Config):
    """The correction of a student that has learnt.

    Attributes:
        weight: w, the share of the two items' nearness that is taken off their score.
        neighbours: k, how many of the anchors count, the nearest.
        images: anchors that are images.
        texts: anchors that are texts.
    """

    weight: float
    neighbours: int
    images: int
    texts: int

    def build(self, embedding: int) -> "Hubness":
        """The module, whose vectors have `embedding` dimensions, those four included."""
        return Hubness(self, embedding - EXTRA)


class Hubness(nn.Module):
    """Unit vectors to unit vectors of `EXTRA` dimensions more."""

    image_anchors_AD: Tensor
    text_anchors_AD: Tensor

    def __init__(self, config: HubnessConfig, width: int) -> None:
        super().__init__()
        self.weight, self.neighbours = config.weight, config.neighbours
        self.register_buffer("image_anchors_AD", torch.zeros(config.images, width))
        self.register_buffer("text_anchors_AD", torch.zeros(config.texts, width))

    def forward(self, z_BD: Tensor, modality: Literal["image", "text"]) -> Tensor:
        r"""`z_BE`, unit length, E = D + 4.

        With $r$ of an item the mean cosine with its k nearest anchors of the other modality, an
        image becomes $[z, \sqrt w, -\sqrt w r, \sqrt{w (1 - r^2)}, 0]$ and a text $[z, -\sqrt w r,
        \sqrt w, 0, \sqrt{w (1 - r^2)}]$, both over $\sqrt{1 + 2 w}$. Their inner product is

        $$\frac{\cos(z_i, z_t) - w (r_i + r_t)}{1 + 2 w}$$

        and two items of one modality, of about the same r, are as near as they were.
        """
        image = modality == "image"
        anchors_AD = self.text_anchors_AD if image else self.image_anchors_AD
        cosines_BA = z_BD @ anchors_AD.to(z_BD.dtype).T
        nearest_BK = cosines_BA.topk(min(self.neighbours, len(anchors_AD)), dim=-1).values
        r_B = nearest_BK.mean(dim=-1).clamp(-1, 1)
        one_B, rest_B = torch.ones_like(r_B), (1 - r_B.square()).sqrt()
        none_B = torch.zeros_like(r_B)
        extra = (one_B, -r_B, rest_B, none_B) if image else (-r_B, one_B, none_B, rest_B)
        longer_BE = torch.cat([z_BD, math.sqrt(self.weight) * torch.stack(extra, dim=-1)], dim=-1)
        return longer_BE / math.sqrt(1 + 2 * self.weight)

    def before(self, z_BE: Tensor) -> Tensor:
        """`z_BD` as `forward` was given it."""
        return z_BE[:, :-EXTRA] * math.sqrt(1 + 2 * self.weight)
