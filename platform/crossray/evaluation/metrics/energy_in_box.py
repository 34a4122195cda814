"""How much of a heat map lies where it should: the energy-based pointing game."""

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Floats


def energy_in_box(maps_QYX: ArrayLike, inside_QYX: ArrayLike) -> Floats:
    r"""Share of each map's mass that lies in its box; [Q] in [0, 1].

    $$E = \frac{\sum_{yx} L_{yx} m_{yx}}{\sum_{yx} L_{yx}}$$

    The energy-based pointing game of Wang et al. 2020 (Score-CAM). `maps_QYX` are at least 0;
    `inside_QYX` in [0, 1] says how far each cell lies in the box. NaN for a map that is 0
    everywhere. Raises CrossRayError for shapes that do not fit and for values out of range.
    """
    maps, inside = _checked(maps_QYX, inside_QYX)
    total_Q = maps.sum(axis=(1, 2))
    energy_Q: Floats = (maps * inside).sum(axis=(1, 2)) / np.where(total_Q > 0, total_Q, np.nan)
    return energy_Q


def energy_lift(maps_QYX: ArrayLike, inside_QYX: ArrayLike) -> Floats:
    """`energy_in_box` over the share of the picture that the box takes; [Q], 1 for an even map.

    NaN also where there is no box. Raises what `energy_in_box` raises.
    """
    _, inside = _checked(maps_QYX, inside_QYX)
    share_Q = inside.mean(axis=(1, 2))
    lift_Q: Floats = energy_in_box(maps_QYX, inside) / np.where(share_Q > 0, share_Q, np.nan)
    return lift_Q


def _checked(maps_QYX: ArrayLike, inside_QYX: ArrayLike) -> tuple[Floats, Floats]:
    maps, inside = (np.asarray(array, dtype=np.float64) for array in (maps_QYX, inside_QYX))
    if maps.ndim != 3 or maps.shape != inside.shape:
        raise CrossRayError(
            f"maps of shape {maps.shape} do not fit boxes of shape {inside.shape}: both must be "
            "[maps, rows, columns]."
        )
    if not ((maps >= 0).all() and (inside >= 0).all() and (inside <= 1).all()):
        raise CrossRayError(
            "a map must be at least 0 and a box in [0, 1] everywhere, without NaN: take the "
            "positive part of the map first."
        )
    return maps, inside
