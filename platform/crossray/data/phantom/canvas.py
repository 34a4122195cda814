"""The image plane: from patient coordinates to pixels, and anti-aliased drawing."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from crossray.data.phantom.study import Acquisition

SIZE = 224
_OVERSAMPLING = 2
Field = NDArray[np.floating[Any]]  # one value a pixel, (SIZE, SIZE), single precision


@lru_cache(maxsize=1)
def _pixel_grid() -> tuple[Field, Field]:
    axis = ((np.arange(SIZE) + 0.5) * 2 / SIZE - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def keep_heap() -> None:
    """Makes the C library keep freed memory, which saves a quarter of the time of rendering.

    glibc raises its thresholds for giving memory back once a large block has been freed;
    below them every temporary map is faulted in again, page by page.
    """
    np.empty(24 << 20, np.uint8)


class Frame:
    """Rotation, field of view and shift of one acquisition."""

    def __init__(self, acquisition: Acquisition) -> None:
        angle = np.deg2rad(acquisition.rotation)
        cos, sin = np.cos(angle), np.sin(angle)
        self._rotation = np.array([[cos, -sin], [sin, cos]])
        self._scale = acquisition.scale
        self._shift = np.array([acquisition.shift_x, acquisition.shift_y])

    def grid(self) -> tuple[Field, Field]:
        """Patient coordinates x and y of every pixel."""
        px, py = _pixel_grid()
        (a, b), (c, d) = (self._rotation * self._scale).tolist()
        shift_x, shift_y = self._shift.tolist()
        return a * px + b * py + shift_x, c * px + d * py + shift_y

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Image coordinates in [-1, 1] of patient points, last axis (x, y)."""
        image: NDArray[np.float64] = (points - self._shift) @ self._rotation / self._scale
        return image

    def new_canvas(self) -> "Canvas":
        """An empty canvas in this frame."""
        return Canvas(self)


class Canvas:
    """Draws shapes given in patient coordinates; ``field`` reads the coverage in [0, 1]."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._image = Image.new("L", (SIZE * _OVERSAMPLING,) * 2)
        self._draw = ImageDraw.Draw(self._image)

    def polygons(self, points_PNx2: NDArray[np.float64], value: float = 1.0) -> None:
        """Fills P polygons of N points, shape (P, N, 2)."""
        fill = round(255 * value)
        for polygon in self._pixels(points_PNx2):
            self._draw.polygon(polygon, fill=fill)

    def ribbons(
        self,
        paths_PNx2: NDArray[np.float64],
        width_PN: NDArray[np.float64] | float,
        value: float = 1.0,
    ) -> None:
        """Fills bands of a full width around P paths of N points."""
        tangents = np.empty_like(paths_PNx2)
        tangents[:, 1:-1] = paths_PNx2[:, 2:] - paths_PNx2[:, :-2]
        tangents[:, 0] = paths_PNx2[:, 1] - paths_PNx2[:, 0]
        tangents[:, -1] = paths_PNx2[:, -1] - paths_PNx2[:, -2]
        half_PN = 0.5 * width_PN / (np.hypot(tangents[..., 0], tangents[..., 1]) + 1e-9)
        offsets = tangents[..., ::-1] * half_PN[..., None] * [-1, 1]
        outline = np.concatenate(
            [paths_PNx2 + offsets, (paths_PNx2 - offsets)[..., ::-1, :]], axis=-2
        )
        self.polygons(outline, value)

    def lines(
        self, paths_PNx2: NDArray[np.float64], pixels: float = 1.0, value: float = 1.0
    ) -> None:
        """Draws P paths of N points with a width in pixels of the final image."""
        fill, width = round(255 * value), max(1, round(pixels * _OVERSAMPLING))
        for path in self._pixels(paths_PNx2):
            self._draw.line(path, fill=fill, width=width)

    def discs(self, centres_Px2: NDArray[np.float64], radius: float, value: float = 1.0) -> None:
        """Fills P discs."""
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        circle = radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        self.polygons(np.asarray(centres_Px2)[:, None] + circle, value)

    def field(self) -> Field:
        """Coverage in [0, 1] at the resolution of the image."""
        return np.asarray(self._image.reduce(_OVERSAMPLING), dtype=np.float32) * np.float32(1 / 255)

    def _pixels(self, points: NDArray[np.float64]) -> list[list[float]]:
        pixels = (self._frame.to_image(points) + 1) * (SIZE * _OVERSAMPLING / 2)
        flat: list[list[float]] = pixels.reshape(len(pixels), -1).tolist()
        return flat


def smoothstep(distance: Field, softness: float) -> Field:
    """0 where the signed distance is below -softness, 1 above softness, smooth between."""
    t = distance * np.float32(0.5 / softness)
    t += np.float32(0.5)
    np.maximum(t, 0, out=t)
    np.minimum(t, 1, out=t)
    weight = np.float32(3) - (t + t)
    weight *= t
    weight *= t
    return weight


def texture(rng: np.random.Generator, cells: int) -> Field:
    """Smooth noise of about unit variance with ``cells`` cells a side."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) * np.float32(1.25)
