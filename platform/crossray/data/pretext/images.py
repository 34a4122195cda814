"""Which pixels of an image are hidden."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SMALLEST, _LARGEST = 8, 3  # sides of the rectangles: an eighth to a third of the image's


def hidden_rectangles(side: int, area: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """`hidden_YX`: bool, True in random rectangles that cover `area` of a square image.

    They cover it up to the height of the last one, at most a third of `side`, in pixels.
    """
    hidden_YX = np.zeros((side, side), dtype=bool)
    wanted = round(area * side * side)
    smallest, largest = max(1, side // _SMALLEST), max(1, side // _LARGEST)
    while (missing := wanted - int(hidden_YX.sum())) > 0:
        height, width = rng.integers(smallest, largest + 1, size=2).tolist()
        width = min(width, -(-missing // height))
        top, left = (int(rng.integers(side - length + 1)) for length in (height, width))
        hidden_YX[top : top + height, left : left + width] = True
    return hidden_YX
