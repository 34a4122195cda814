"""Boxes in the part of an image that a model sees."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from crossray.explain.visible_area import inside_boxes, seen_square


def fine_loop(boxes: list[dict[str, float]], height: int, width: int, side: int) -> np.ndarray:
    """Shares of the cells by looking at many points of each."""
    short, steps = min(height, width), 40
    inside = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            for step in range(steps * steps):
                y = (row + (step // steps + 0.5) / steps) * short / side + (height - short) / 2
                x = (column + (step % steps + 0.5) / steps) * short / side + (width - short) / 2
                inside[row, column] += any(
                    box["x0"] <= x / width < box["x1"] and box["y0"] <= y / height < box["y1"]
                    for box in boxes
                )
    return inside / steps**2


@pytest.mark.parametrize(("height", "width"), [(50, 50), (40, 70), (90, 60)])
def test_boxes_cover_the_cells_that_they_lie_over(height: int, width: int) -> None:
    """A box in the wrong cells would judge the map of another place."""
    rng = np.random.default_rng()
    x, y = (np.sort(rng.random(2)) for _ in range(2))
    box = {"x0": x[0], "y0": y[0], "x1": x[1], "y1": y[1]}
    expected = fine_loop([box], height, width, 4)
    np.testing.assert_allclose(inside_boxes([box], height, width, 4), expected, atol=0.06)


def test_boxes_that_overlap_count_once() -> None:
    """Two boxes over one place are not twice the place."""
    left = {"x0": 0.0, "y0": 0.0, "x1": 0.5, "y1": 1.0}
    whole = {"x0": 0.0, "y0": 0.0, "x1": 1.0, "y1": 0.5}
    inside = inside_boxes([left, whole], 10, 10, 2)
    assert inside.tolist() == [[1, 1], [1, 0]]
    assert not inside_boxes([{"x0": 0.0, "y0": 0.0, "x1": 0.2, "y1": 1.0}], 10, 30, 2).any()


def test_the_square_is_the_middle() -> None:
    """The picture under the map must be the part that the map is of."""
    pixels = np.zeros((6, 10, 3), np.uint8)
    pixels[:, 2:8] = 200
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert seen_square(buffer.getvalue()).tolist() == np.full((6, 6, 3), 200).tolist()
