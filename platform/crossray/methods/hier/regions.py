"""Regions and structures of a feature map (HIER, section 2: grid regions, named lung zones)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

ZONES = (
    "left upper", "left middle", "left lower", "centre", "right upper", "right middle",
    "right lower",
)  # fmt: skip
ZONE_GRID = 4
_ZONE_OF_CELL = (
    ("left upper", "centre", "centre", "right upper"),
    ("left middle", "centre", "centre", "right middle"),
    ("left middle", "centre", "centre", "right middle"),
    ("left lower", "centre", "centre", "right lower"),
)


def grid_regions(grid_BCYX: Tensor, sides: tuple[int, ...]) -> Tensor:
    """`regions_BRC`: the map averaged into `side x side` cells for every side, coarse to fine.

    R is the sum of the squared sides, in the order of `sides`, row by row.
    """
    cells = [functional.adaptive_avg_pool2d(grid_BCYX, side).flatten(2) for side in sides]
    return torch.cat(cells, dim=2).transpose(1, 2)


def region_maps(weight_BWR: Tensor, sides: tuple[int, ...], side: int) -> Tensor:
    """`maps_BWYX`: weights of the regions laid out on a feature map of `side` rows and columns.

    A region gives each cell that it averages an equal part of its weight, so the sums stay, and a
    mixture of regions under the weights is the mixture of the map's cells under the result.
    """
    cells_GYX = torch.eye(side * side, device=weight_BWR.device, dtype=weight_BWR.dtype)
    share_GR = grid_regions(cells_GYX.view(-1, 1, side, side), sides).squeeze(2)
    maps_BWG = weight_BWR @ share_GR.T
    return maps_BWG.view(*maps_BWG.shape[:2], side, side)


def zone_structures(grid_BCYX: Tensor) -> Tensor:
    """`structures_BOC`: means over the seven named zones of a 4 x 4 grid, in the order of `ZONES`.

    Left and right are those of the picture, as the tower sees it.
    """
    cells_BCG = functional.adaptive_avg_pool2d(grid_BCYX, ZONE_GRID).flatten(2)
    members_OG = torch.tensor(
        [[float(zone == name) for row in _ZONE_OF_CELL for zone in row] for name in ZONES],
        device=grid_BCYX.device,
        dtype=grid_BCYX.dtype,
    )
    weights_OG = members_OG / members_OG.sum(dim=1, keepdim=True)
    return torch.einsum("og,bcg->boc", weights_OG, cells_BCG)


def sentence_means(states_BTD: Tensor, sentence_BT: Tensor) -> tuple[Tensor, Tensor]:
    """`sentences_BSD`, the mean state of each sentence's tokens; `mask_BS`, True where it has any.

    S is the largest number of sentences in the batch, at least 1.
    """
    count = max(int(sentence_BT.max()) + 1, 1)
    numbers_S = torch.arange(count, device=sentence_BT.device)
    member_BST = (sentence_BT[:, None, :] == numbers_S[None, :, None]).to(states_BTD.dtype)
    size_BS = member_BST.sum(dim=2)
    sentences_BSD = member_BST @ states_BTD / size_BS.clamp(min=1)[:, :, None]
    return sentences_BSD, size_BS > 0
