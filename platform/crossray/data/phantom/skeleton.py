"""Bones and vessels, drawn as bands in patient coordinates."""

import numpy as np
from numpy.typing import NDArray

from crossray.data.phantom.anatomy import Chest
from crossray.data.phantom.canvas import Canvas, Field
from crossray.data.phantom.study import ChestFinding, fractured_ribs

_POSTERIOR, _ANTERIOR, _POINTS = 10, 6, 24
_RIB = 0.058
_ARC = np.linspace(0, 1, _POINTS)


def posterior_ribs(chest: Chest, side: str) -> NDArray[np.float64]:
    """Midlines of the posterior ribs of a side, (10, 24, 2), from the spine to the chest wall."""
    anatomy, t = chest.anatomy, _ARC[None]
    number = np.arange(_POSTERIOR)[:, None]
    start = anatomy.apex - 0.04 + anatomy.rib_spacing * number
    drop = anatomy.rib_slope * (0.10 + 0.022 * number)
    y = start - 0.035 * np.sin(np.pi * np.minimum(1.4 * t, 1)) + drop * t**2.2
    reach = chest.lateral(y[:, -1:]) + 0.012
    x = 0.06 + (reach - 0.06) * np.sin(t * np.pi / 2) ** 0.9
    sign = 1 if side == "left" else -1
    return np.stack([sign * x + chest.spine(start), y], axis=-1)


def _anterior_ribs(chest: Chest, side: str) -> NDArray[np.float64]:
    """Midlines of the anterior ribs, from the chest wall down and inwards to the cartilage."""
    outer = posterior_ribs(chest, side)[1 : 1 + _ANTERIOR, -1]
    sign, t = (1 if side == "left" else -1), _ARC[None]
    reach = np.abs(outer[:, :1])
    x = reach - (reach - 0.27) * t**1.3
    y = outer[:, 1:] + 0.02 + 0.20 * t**0.8
    return np.stack([sign * x, y], axis=-1)


def ribs(chest: Chest) -> Field:
    """Attenuation of all ribs; brighter along the cortex and where broken ends are compacted."""
    back, front = chest.frame.new_canvas(), chest.frame.new_canvas()
    compacted = []
    for side in ("right", "left"):
        intact, *broken = _broken(posterior_ribs(chest, side), chest.study.drawn, side)
        for paths in (intact, *broken):
            _rib_bands(back, paths)
        if broken:
            inner, outer = broken
            compacted += [inner[:, -3:], outer[:, :3]]
        _rib_bands(front, _anterior_ribs(chest, side))
    bones = 0.40 * back.field() + 0.24 * front.field()
    if compacted:
        ends = chest.frame.new_canvas()
        ends.ribbons(np.concatenate(compacted), 1.1 * _RIB)
        bones += 0.32 * ends.field()
    return bones


def _rib_bands(canvas: Canvas, paths: NDArray[np.float64]) -> None:
    canvas.ribbons(paths, _RIB)
    canvas.ribbons(paths, _RIB * 0.6, 0.72)


def _broken(
    paths: NDArray[np.float64], findings: tuple[ChestFinding, ...], side: str
) -> list[NDArray[np.float64]]:
    """The ribs, those with a fracture in two pieces that step apart."""
    broken = [f for f in findings if f.name == "Fracture" and f.side == side]
    if not broken:
        return [paths]
    chosen = [number - 1 for number in fractured_ribs(broken[0])]
    cut = _fracture_index(broken[0])
    intact = np.delete(paths, chosen, axis=0)
    inner, outer = paths[chosen, : cut - 1].copy(), paths[chosen, cut + 2 :].copy()
    inner[..., 1] += 0.034 * np.linspace(0, 1, cut - 1) ** 3
    outer[..., 1] -= 0.045 * np.linspace(1, 0, outer.shape[1]) ** 2
    return [intact, inner, outer]


def _fracture_index(finding: ChestFinding) -> int:
    return 12 + int(2.99 * (finding.u + 1) / 2)


def fracture_sites(chest: Chest, finding: ChestFinding) -> NDArray[np.float64]:
    """Points that bound the displaced parts of the broken ribs, (ribs, points, 2)."""
    chosen = [number - 1 for number in fractured_ribs(finding)]
    cut = _fracture_index(finding)
    sites: NDArray[np.float64] = posterior_ribs(chest, finding.side)[chosen, cut - 7 : cut + 8]
    return sites


def clavicles(chest: Chest) -> Field:
    """Both clavicles as S-shaped bands."""
    t = _ARC
    x = 0.07 + 0.66 * t
    y = -0.60 + 0.035 * np.sin(2 * np.pi * t) - (0.06 + chest.anatomy.clavicle_tilt) * t
    canvas = chest.frame.new_canvas()
    both = np.stack([np.stack([-x, y], -1), np.stack([x, y], -1)])
    width = 0.055 + 0.03 * (2 * t - 1) ** 4
    canvas.ribbons(both, width)
    canvas.ribbons(both, 0.55 * width, 0.7)
    return 0.45 * canvas.field()


def shoulders(chest: Chest) -> Field:
    """Humeral heads and the medial border of the scapulae, further in on an AP film."""
    overlap = 0.06 if chest.study.acquisition.view == "AP" else 0.0
    w = chest.anatomy.half_width + 0.06 - overlap
    blade = np.array([[w - 0.06, -0.5], [w + 0.15, -0.62], [w + 0.28, -0.45], [w + 0.02, 0.02]])
    canvas = chest.frame.new_canvas()
    canvas.polygons(np.stack([blade * [-1, 1], blade]), 0.45)
    canvas.ribbons(np.stack([blade[[0, 3]] * [-1, 1], blade[[0, 3]]]), 0.03, 0.8)
    canvas.discs(np.array([[-w - 0.24, -0.62], [w + 0.24, -0.62]]), 0.13, 1.0)
    return 0.32 * canvas.field()


def spine(chest: Chest) -> Field:
    """Vertebral bodies with discs between, pedicles, and osteophytes when degenerative."""
    anatomy = chest.anatomy
    y = np.arange(-0.95, 1.0, anatomy.rib_spacing)
    x = chest.spine(y)
    half = 0.072 + 0.012 * (y + 1)
    height = 0.82 * anatomy.rib_spacing
    corners = np.array([[-1, 0], [1, 0], [1, 1], [-1, 1]], dtype=float)
    bodies = np.stack([x, y], -1)[:, None] + corners * np.stack([half, 0 * y + height], -1)[:, None]
    canvas = chest.frame.new_canvas()
    canvas.polygons(bodies, 0.62)
    pedicles = bodies[:, :2] * [1, 1] + np.array([[0.03, 0.03], [-0.03, 0.03]])
    canvas.discs(pedicles.reshape(-1, 2), 0.016, 1.0)
    if anatomy.degenerative:
        spurs = bodies[8:, [0, 1]] + np.array([[-0.03, 0], [0.03, 0]])
        canvas.ribbons(spurs, 0.03, 1.0)
    return 0.5 * canvas.field()


def vessels(chest: Chest) -> Field:
    """Attenuation of the vessels of both lungs, branching from the hila."""
    rng = np.random.default_rng(chest.anatomy.seed + 1)
    canvas = chest.frame.new_canvas()
    for sign in (-1, 1):
        hilum = np.array([sign * 0.19, -0.07 if sign > 0 else -0.03])
        angles = np.linspace(-1.35, 1.45, 9) + rng.uniform(-0.1, 0.1, 9)
        lengths = rng.uniform(0.42, 0.62, 9)
        trunks = _bent(np.tile(hilum, (9, 1)), angles, lengths, rng)
        twigs_from = trunks[:, [3, 4, 6]].reshape(-1, 2)
        spread = np.tile([-0.55, 0.5, -0.4], 9) + rng.uniform(-0.15, 0.15, 27)
        twigs = _bent(twigs_from, np.repeat(angles, 3) + spread, np.repeat(lengths, 3) * 0.5, rng)
        for paths, width, value in ((twigs, 0.016, 0.55), (trunks, 0.034, 0.8)):
            paths[..., 0] = hilum[0] + sign * (paths[..., 0] - hilum[0])
            canvas.ribbons(paths, width * np.linspace(1, 0.2, paths.shape[1]), value)
        canvas.ribbons(_hilum(hilum, sign), np.array([0.03, 0.10, 0.09, 0.03]))
    return 0.38 * canvas.field() * chest.lung


def _bent(
    starts: NDArray[np.float64],
    angles: NDArray[np.float64],
    lengths: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Paths of 8 points that leave their starts under an angle and bend a little."""
    t = np.linspace(0, 1, 8)
    bend = rng.uniform(-0.3, 0.3, (len(angles), 1))
    heading = angles[:, None] + bend * t
    step = np.stack([np.cos(heading), np.sin(heading)], -1) * (lengths * t[:, None]).T[..., None]
    return starts[:, None] + step


def _hilum(hilum: NDArray[np.float64], sign: int) -> NDArray[np.float64]:
    reach = np.array([[-0.03, -0.09], [0.0, -0.02], [0.015, 0.06], [0.03, 0.16]])
    path: NDArray[np.float64] = (hilum + reach * [sign, 1])[None]
    return path
