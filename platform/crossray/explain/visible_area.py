"""The part of an image that a model sees, and where a box lies in it."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional

from crossray.data.transforms import decode_image


def seen_square(data: bytes) -> NDArray[np.uint8]:
    """`picture_YXC`: the square in the middle of an encoded image, which is what models see.

    Raises `CrossRayError` for what is not a complete image of an allowed size.
    """
    image_CYX = decode_image(data)
    side = min(image_CYX.shape[1:])
    square: NDArray[np.uint8] = functional.center_crop(image_CYX, [side, side]).numpy()
    return square.transpose(1, 2, 0)


def inside_boxes(
    boxes: Iterable[Mapping[str, float]], height: int, width: int, side: int
) -> NDArray[np.float64]:
    """`inside_YX` in [0, 1]: how far each cell of the seen square lies in boxes, `side` a line.

    Boxes have corners x0, y0, x1, y1 as shares of an image of `height` and `width`; what of them
    lies outside of the square is not there.
    """
    short = min(height, width)
    inside_YX = np.zeros((side, side))
    for box in boxes:
        rows, columns = (
            _covered((box[low] * size - (size - short) / 2, box[high] * size - (size - short) / 2),
                     short, side)
            for low, high, size in (("y0", "y1", height), ("x0", "x1", width))
        )  # fmt: skip
        inside_YX = np.maximum(inside_YX, np.outer(rows, columns))
    return inside_YX


def _covered(interval: tuple[float, float], length: int, cells: int) -> NDArray[np.float64]:
    """How far each of equal cells of a line of some length lies in an interval."""
    edges = np.clip(np.array(interval) * cells / length, 0, cells)
    starts = np.arange(cells)
    overlap = np.minimum(edges[1], starts + 1) - np.maximum(edges[0], starts)
    covered: NDArray[np.float64] = np.clip(overlap, 0, 1)
    return covered
