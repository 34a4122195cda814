"""SCDA: where the main object of an image is, read off a network's last feature map.

Selective convolutional descriptor aggregation (Wei et al. 2017, "Selective Convolutional Descriptor
Aggregation for Fine-Grained Image Retrieval"). Nothing is learned.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class CellBox(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right`, the last ones not included."""

    top: int
    bottom: int
    left: int
    right: int


def activation_map(grid_CYX: Tensor) -> Tensor:
    """`activation_YX`: the sum over the channels, $A(x, y) = sum_c F_c(x, y)$."""
    return grid_CYX.sum(dim=0)


def above_mean(activation_YX: Tensor) -> Tensor:
    """`mask_YX`, bool: the cells strictly above the mean, so none of a constant map."""
    return activation_YX > activation_YX.mean()


def largest_component(mask_YX: Tensor) -> Tensor:
    """`mask_YX`, bool: the component with most cells; cells connect by an edge, not by a corner.

    Of equal ones the first in reading order; an empty mask stays empty.
    """
    from scipy import ndimage  # half a second, and few towers look for an object

    components, count = ndimage.label(mask_YX.cpu().numpy())
    if count == 0:
        return mask_YX
    sizes = ndimage.sum_labels(mask_YX.cpu().numpy(), components, range(1, count + 1))
    largest = torch.from_numpy(components == sizes.argmax() + 1)
    return largest.to(mask_YX.device)


def object_mask(grid_CYX: Tensor) -> Tensor:
    """`mask_YX`: the largest component above the mean; all cells of a map without any."""
    mask_YX = largest_component(above_mean(activation_map(grid_CYX)))
    return mask_YX if mask_YX.any() else torch.ones_like(mask_YX)


def descriptor(grid_CYX: Tensor, mask_YX: Tensor) -> Tensor:
    """`descriptor_2C`: average and maximum over the selected cells.

    The average divides by the number of selected cells, not by all of the map.
    """
    selected_CN = grid_CYX[:, mask_YX]
    return torch.cat([selected_CN.mean(dim=1), selected_CN.amax(dim=1)])


def bounding_box(mask_YX: Tensor, height: int, width: int) -> CellBox:
    """The box around a mask that is enlarged to the image's size by its nearest cells."""
    rows, columns = mask_YX.any(dim=1).nonzero(), mask_YX.any(dim=0).nonzero()
    tall, wide = height / mask_YX.shape[0], width / mask_YX.shape[1]
    return CellBox(
        math.ceil(int(rows[0]) * tall),
        math.ceil((int(rows[-1]) + 1) * tall),
        math.ceil(int(columns[0]) * wide),
        math.ceil((int(columns[-1]) + 1) * wide),
    )


def crop_to_object(pixels_BCYX: Tensor, grid_BCYX: Tensor) -> Tensor:
    """Each image cut to the box of its object and resized to the size it had, bilinear.

    `grid_BCYX` is what a trained network makes of the same pixels. An image without an object stays
    whole.
    """
    height, width = pixels_BCYX.shape[-2:]
    cropped = []
    for pixels_CYX, grid_CYX in zip(pixels_BCYX, grid_BCYX, strict=True):
        box = bounding_box(object_mask(grid_CYX), height, width)
        patch_CYX = pixels_CYX[:, box.top : box.bottom, box.left : box.right]
        cropped.append(
            functional.interpolate(
                patch_CYX[None], (height, width), mode="bilinear", antialias=True
            )[0]
        )
    return torch.stack(cropped)
