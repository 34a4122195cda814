"""Boxes and masks of an image as its transform shows them."""

import math
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from crossray.data import transforms
from crossray.data.images.encoded import shown_shape

CELLS = 32  # rows and columns of a mask; no feature map is finer in practice
NOT_AUGMENTED = transforms.AugmentConfig(min_scale=1.0, aspect=1.0, rotation=0.0)


def visible_boxes(
    boxes_R4: Tensor,
    data: bytes,
    epoch: int | None,
    index: int,
    augment: transforms.AugmentConfig = NOT_AUGMENTED,
    seed: int = 0,
) -> Tensor:
    """The boxes in fractions of what `evaluation_transform` or `training_transform` shows.

    With an epoch, of what training shows in it. Both crop. A turned box is the smallest upright one
    around it; what reaches outside is cut off, and boxes outside are left out.

    Args:
        boxes_R4: x0, y0, x1, y1 as fractions of the image.
        data: the encoded image.
        epoch: None for evaluation.
        index: of the item, as the training transform is given it.
        augment: of training.
        seed: of the augmentation.
    """
    height, width = shown_shape(data)
    if epoch is None:
        side = min(height, width)
        top, left, rows, columns = (height - side) / 2, (width - side) / 2, side, side
        return _visible(_cropped(boxes_R4, (height, width), (top, left, rows, columns)))
    draws = transforms.training_draws(seed, epoch, index)
    view = transforms.crop_box((height, width), augment, "crop", draws[:4])
    boxes_R4 = _cropped(boxes_R4, (height, width), view)
    boxes_R4 = _turned(boxes_R4, (2 * draws[4] - 1) * augment.rotation)
    if draws[7] < augment.flip:
        x0, y0, x1, y1 = boxes_R4.unbind(dim=1)
        boxes_R4 = torch.stack([1 - x1, y0, 1 - x0, y1], dim=1)
    return _visible(boxes_R4)


def _cropped(
    boxes_R4: Tensor, shape: tuple[int, int], view: tuple[float, float, float, float]
) -> Tensor:
    """The boxes in fractions of a crop: its top, left, rows and columns in pixels."""
    (height, width), (top, left, rows, columns) = shape, view
    scale = boxes_R4.new_tensor([width, height, width, height])
    start = boxes_R4.new_tensor([left, top, left, top])
    return (boxes_R4 * scale - start) / boxes_R4.new_tensor([columns, rows, columns, rows])


def _turned(boxes_R4: Tensor, degrees: float) -> Tensor:
    """The upright boxes around boxes that turn counter-clockwise about the centre."""
    if not degrees:
        return boxes_R4
    x_RC, y_RC = boxes_R4[:, [0, 2, 0, 2]] - 0.5, boxes_R4[:, [1, 1, 3, 3]] - 0.5
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned_x_RC, turned_y_RC = cosine * x_RC + sine * y_RC, cosine * y_RC - sine * x_RC
    ends = [turned_x_RC.amin(1), turned_y_RC.amin(1), turned_x_RC.amax(1), turned_y_RC.amax(1)]
    return torch.stack(ends, dim=1) + 0.5


def _visible(boxes_R4: Tensor) -> Tensor:
    inside_R4 = boxes_R4.clamp(0, 1)
    seen_R = (inside_R4[:, 2] > inside_R4[:, 0]) & (inside_R4[:, 3] > inside_R4[:, 1])
    return inside_R4[seen_R]


def visible_masks(
    masks: Sequence[bytes],
    epoch: int | None,
    index: int,
    image_size: int,
    augment: transforms.AugmentConfig = NOT_AUGMENTED,
    seed: int = 0,
) -> Tensor:
    """What each mask covers of what `evaluation_transform` or `training_transform` shows.

    With an epoch, of what training shows in it. Both crop.

    Args:
        masks: encoded, all of the image's size.
        epoch: None for evaluation.
        index: of the item, as the training transform is given it.
        image_size: of the transform.
        augment: of training.
        seed: of the augmentation.

    Returns:
        `masks_RYX`, the share of each of `CELLS` x `CELLS` cells that is covered; a mask that is
        outside of the picture is 0 everywhere.
    """
    if not masks:
        return torch.zeros(0, CELLS, CELLS)
    # One at a time: a decoded mask is as large as its image.
    decoded_1YX = (_decoded(mask)[None] for mask in masks)
    if epoch is None:
        seen_RYX = torch.cat(
            [transforms.evaluation_view(mask_1YX, image_size) for mask_1YX in decoded_1YX]
        )
    else:
        draws = transforms.training_draws(seed, epoch, index)
        crops = [
            transforms.cropped(mask_1YX, image_size, augment, draws, "crop")
            for mask_1YX in decoded_1YX
        ]
        seen_RYX = torch.cat(crops)
        if augment.rotation:
            seen_RYX = transforms.rotated(seen_RYX, augment, draws, [0.0] * len(seen_RYX))
        if draws[7] < augment.flip:
            seen_RYX = seen_RYX.flip(2)
    return adaptive_avg_pool2d(seen_RYX, CELLS)


def _decoded(mask: bytes) -> Tensor:
    with Image.open(BytesIO(mask), formats=("PNG",)) as image:
        return torch.from_numpy(np.array(image.convert("1"))).float()
