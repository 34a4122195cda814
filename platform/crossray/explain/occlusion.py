"""Where in an image a score comes from: what it loses when a place is hidden."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation
from crossray.data.schema import iter_pairs, row_groups
from crossray.methods.contract import Encoder

SQUARES = 7  # side by side in a row of the picture; neighbours overlap by half
IMAGES = 512  # in a mean image


def occlusion_maps(
    method: Encoder,
    pixels_BCYX: Tensor,
    score: Callable[[Representation], Tensor],
    background_CYX: Tensor | None = None,
) -> Tensor:
    r"""`maps_BYX`, a value a pixel, at least 0, in the score's units.

    Occlusion (Zeiler and Fergus 2014, section 3.2). With `x` the image and `x_q` the same with the
    square `q` hidden

    $$L_p = \mathrm{ReLU}\Big(\frac{1}{|\{q \ni p\}|} \sum_{q \ni p} s(x) - s(x_q)\Big)$$

    Args:
        method: in evaluation mode, so that no image depends on another.
        pixels_BCYX: normalised images, square.
        score: `scores_B` of what the method makes of the images.
        background_CYX: what a hidden square shows, normalised too, see `mean_image`; by
            default a blur of the image (Fong and Vedaldi 2017), which adds no edge.
    """
    side = pixels_BCYX.shape[-1]
    square = max(1, side // SQUARES)
    if background_CYX is None:
        behind_BCYX = blurred(pixels_BCYX, square - 1)
    else:
        behind_BCYX = background_CYX.expand_as(pixels_BCYX)
    lost_BYX = pixels_BCYX.new_zeros(len(pixels_BCYX), side, side)
    covered_YX = pixels_BCYX.new_zeros(side, side)
    with torch.no_grad():
        whole_B = score(method.represent_image(ImageBatch(pixels_BCYX)))
        for top in _starts(side, square):
            for left in _starts(side, square):
                rows, columns = slice(top, top + square), slice(left, left + square)
                hidden_BCYX = pixels_BCYX.clone()
                hidden_BCYX[..., rows, columns] = behind_BCYX[..., rows, columns]
                scores_B = score(method.represent_image(ImageBatch(hidden_BCYX)))
                lost_BYX[:, rows, columns] += (whole_B - scores_B)[:, None, None]
                covered_YX[rows, columns] += 1
    return (lost_BYX / covered_YX).relu()


def blurred(images_BCYX: Tensor, reach: int) -> Tensor:
    """Each pixel the mean of those at most `reach` rows and columns away, mirrored at the edges."""
    padded = pad(images_BCYX, (reach,) * 4, mode="reflect")
    return avg_pool2d(padded, 2 * reach + 1, stride=1)


def _starts(side: int, square: int) -> list[int]:
    last = side - square
    return [*range(0, last, max(1, square // 2)), last]


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
