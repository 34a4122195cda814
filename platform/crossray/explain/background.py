"""What the images of a data set show on average, for places that are hidden."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.schema import iter_pairs, row_groups

IMAGES = 512


def mean_image(pairs: Artifact, transform: Callable[[bytes], Tensor]) -> Tensor:
    """`image_CYX`: the mean of about `IMAGES` training images from all over the pairs.

    Where images are alike, as films of chests are, a square of it shows what is there as a rule:
    it takes a shadow away, which a blur leaves, and adds none.

    Args:
        pairs: with a train split.
        transform: from an encoded image to pixels_CYX, all of one size.

    Raises:
        CrossRayError: the train split has no image.
    """
    each = -(-IMAGES // max(1, len(row_groups(pairs))))
    total_CYX, count = torch.zeros(()), 0
    for table in iter_pairs(pairs, ("image",), "train"):
        there = (value for value in table["image"].to_pylist() if value is not None)
        for image in islice(there, each):
            total_CYX = total_CYX + transform(image)
            count += 1
    if not count:
        raise CrossRayError(
            f"the train split of {pairs.uri} has no image to make a background of; give other "
            "pairs, or leave the background out."
        )
    return total_CYX / count
