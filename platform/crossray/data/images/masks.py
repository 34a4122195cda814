"""Masks of an image as its transform shows them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from crossray.data.images.boxes import WHOLE
from crossray.data.transforms import (
    AugmentConfig,
    cropped,
    evaluation_view,
    rotated,
    training_draws,
)

CELLS = 32  # a side; no feature map is finer in practice


def seen_masks(
    masks: Sequence[bytes],
    epoch: int | None,
    index: int,
    image_size: int,
    augment: AugmentConfig = WHOLE,
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
    # One at a time: whole masks are as large as their image.
    whole_1YX = (_decoded(mask)[None] for mask in masks)
    if epoch is None:
        seen_RYX = torch.cat([evaluation_view(mask_1YX, image_size) for mask_1YX in whole_1YX])
    else:
        draws = training_draws(seed, epoch, index)
        crops = [cropped(mask_1YX, image_size, augment, draws, "crop") for mask_1YX in whole_1YX]
        seen_RYX = torch.cat(crops)
        if augment.rotation:
            seen_RYX = rotated(seen_RYX, augment, draws, [0.0] * len(seen_RYX))
        if draws[7] < augment.flip:
            seen_RYX = seen_RYX.flip(2)
    return adaptive_avg_pool2d(seen_RYX, CELLS)


def _decoded(mask: bytes) -> Tensor:
    with Image.open(BytesIO(mask), formats=("PNG",)) as image:
        return torch.from_numpy(np.array(image.convert("1"))).float()
