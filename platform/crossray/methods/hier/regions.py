"""Regions and structures of a feature map for HIER: grids, boxes, masks, lung zones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch

ZONES = (
    "left upper", "left middle", "left lower", "centre", "right upper", "right middle",
    "right lower",
)  # fmt: skip
ZONE_GRID = 4
THINNEST = 1e-3  # no box is thinner, as a share of the picture's side
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


def boxes_with_whole(image: ImageBatch) -> tuple[Tensor, Tensor]:
    """`boxes_BR4` and their mask with the full picture as the first box, so that all have one.

    Raises `CrossRayError` for images that come without boxes.
    """
    if image.boxes_BR4 is None or image.box_mask_BR is None:
        raise CrossRayError(
            "regions='boxes' reads the boxes of pairs, and these images come without; features "
            "have none, so leave --features out, or choose regions='grid'."
        )
    boxes_BR4, mask_BR = image.boxes_BR4, image.box_mask_BR
    whole_B14 = boxes_BR4.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(boxes_BR4), 1, 4)
    real_B1 = mask_BR.new_ones(len(mask_BR), 1)
    return torch.cat([whole_B14, boxes_BR4], dim=1), torch.cat([real_B1, mask_BR], dim=1)


def box_regions(grid_BCYX: Tensor, boxes_BR4: Tensor) -> Tensor:
    """`regions_BRC`: the mean of the map over each box.

    The map is taken as constant in each of its cells, which tile the picture. `boxes_BR4` are x0,
    y0, x1, y1 in [0, 1]; a box without area gives the cell that it lies in.
    """
    rows, columns = grid_BCYX.shape[2:]
    x0, y0, x1, y1 = boxes_BR4.to(grid_BCYX.dtype).unbind(dim=-1)
    share_BRX, share_BRY = _overlap(x0, x1, columns), _overlap(y0, y1, rows)
    return torch.einsum("bcyx,bry,brx->brc", grid_BCYX, share_BRY, share_BRX)


def masks_with_whole(image: ImageBatch) -> tuple[Tensor, Tensor]:
    """`masks_BRYX` with the full picture as the first, and `real_BR`, False at padding.

    Raises `CrossRayError` for images that come without masks.
    """
    if image.masks_BRYX is None:
        raise CrossRayError(
            "regions='masks' and structures='masks' read the masks of pairs, and these images come "
            "without; features have none, so leave --features out, or choose regions='grid' and "
            "structures='zones'."
        )
    masks_BRYX = image.masks_BRYX
    whole_B1YX = masks_BRYX.new_ones(len(masks_BRYX), 1, *masks_BRYX.shape[2:])
    masks_BRYX = torch.cat([whole_B1YX, masks_BRYX], dim=1)
    return masks_BRYX, masks_BRYX.flatten(2).any(dim=2)


def mask_regions(grid_BCYX: Tensor, masks_BRGG: Tensor) -> Tensor:
    """`regions_BRC`: the mean of the map over each mask, a cell by the share that it covers of it.

    The map is taken as constant in each of its cells, which tile the picture. A mask of zeros gives
    zeros.
    """
    rows, columns = grid_BCYX.shape[2:]
    share_BRYX = functional.adaptive_avg_pool2d(masks_BRGG.to(grid_BCYX.dtype), (rows, columns))
    total_BR = share_BRYX.sum(dim=(2, 3)).clamp(min=torch.finfo(share_BRYX.dtype).tiny)
    return torch.einsum("bcyx,bryx->brc", grid_BCYX, share_BRYX / total_BR[:, :, None, None])


def mask_corners(masks_BRGG: Tensor) -> Tensor:
    """`corners_BR4`: x0, y0, x1, y1 in [0, 1] of the smallest box around each mask, to a cell."""
    ends = []
    for axis in (2, 3):  # over rows for x, over columns for y
        covered_BRG = masks_BRGG.amax(dim=axis) > 0
        size = covered_BRG.shape[2]
        first_BR = covered_BRG.int().argmax(dim=2)
        last_BR = size - covered_BRG.flip(2).int().argmax(dim=2)
        ends.append(torch.stack([first_BR, last_BR]) / size)
    (x0, x1), (y0, y1) = ends
    return torch.stack([x0, y0, x1, y1], dim=2).to(masks_BRGG.dtype)


def _overlap(start_BR: Tensor, stop_BR: Tensor, cells: int) -> Tensor:
    """What share of each interval lies in each of the equal cells of [0, 1]; `share_BRG`."""
    start_BR = start_BR.clamp(0, 1 - THINNEST)
    stop_BR = torch.maximum(stop_BR.clamp(max=1), start_BR + THINNEST)
    edge_G = torch.arange(cells + 1, device=start_BR.device, dtype=start_BR.dtype) / cells
    low_BRG = torch.maximum(start_BR[..., None], edge_G[:-1])
    high_BRG = torch.minimum(stop_BR[..., None], edge_G[1:])
    length_BRG = (high_BRG - low_BRG).clamp(min=0)
    return length_BRG / length_BRG.sum(dim=-1, keepdim=True)


def region_maps(weight_BWR: Tensor, sides: tuple[int, ...], side: int) -> Tensor:
    """`maps_BWYX`: weights of the regions laid out on a feature map of `side` rows and columns.

    A region gives each cell that it averages an equal part of its weight, so the sums stay, and a
    mixture of regions under the weights is the mixture of the map's cells under the result.
    """
    cells_GYX = torch.eye(side * side, device=weight_BWR.device, dtype=weight_BWR.dtype)
    share_GR = grid_regions(cells_GYX.view(-1, 1, side, side), sides).squeeze(2)
    return (weight_BWR @ share_GR.T).view(*weight_BWR.shape[:2], side, side)


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
