"""Support devices, surgical clips and wires: radio-opaque shapes over the chest."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from crossray.data.phantom.anatomy import CARINA, Chest
from crossray.data.phantom.canvas import Field
from crossray.data.phantom.study import ChestFinding, tube_tip_above_carina

Path = NDArray[np.float64]


def _smooth(points: list[list[float]], steps: int = 24) -> Path:
    """A curve near the given points (uniform quadratic B-spline through the ends)."""
    p = np.array([points[0], *points, points[-1]], dtype=float)
    t = np.linspace(0, len(p) - 2 - 1e-6, steps * 2)
    i, f = t.astype(int), (t % 1)[:, None]
    curve: Path = 0.5 * (
        (1 - f) ** 2 * p[i] + (1 + 2 * f - 2 * f * f) * p[i + 1] + f * f * p[i + 2]
    )
    return curve


def _walls(half: float) -> Path:
    """Offsets of the two walls of an upright tube, to add to its midline."""
    return np.array([[[half, 0.0]], [[-half, 0.0]]])


def _sign(finding: ChestFinding) -> int:
    return 1 if finding.side == "left" else -1


def endotracheal_tube(chest: Chest, finding: ChestFinding) -> Field:
    """Two parallel walls down the trachea with a dense marker at the tip."""
    tip = CARINA - tube_tip_above_carina(finding)
    path = _smooth([[-0.03, -1.1], [0.01, -0.9], [0.015, -0.7], [0.01, tip]])
    canvas = chest.frame.new_canvas()
    canvas.lines(path + _walls(0.022), 1.6)
    canvas.lines(path[None, -3:], 2.5)
    return 1.4 * canvas.field()


def feeding_tube(chest: Chest, finding: ChestFinding) -> Field:
    """A line down the oesophagus that bends into the stomach."""
    floor = chest.domes[1]
    path = _smooth(
        [
            [0.04, -1.1],
            [0.03, -0.6],
            [0.0, -0.1],
            [0.05, 0.35],
            [0.16, floor + 0.10],
            [0.32 + 0.06 * finding.u, floor + 0.24],
            [0.30 + 0.14 * finding.u, floor + 0.36],
        ]
    )
    canvas = chest.frame.new_canvas()
    canvas.lines(path[None], 2.2)
    return 1.3 * canvas.field()


def central_line(chest: Chest, finding: ChestFinding) -> Field:
    """A catheter from the neck or from below the clavicle to the superior vena cava."""
    sign, tip = _sign(finding), CARINA + 0.08 + 0.10 * finding.v
    if finding.form == "jugular":
        points = [[sign * 0.22, -1.1], [sign * 0.17, -0.85], [sign * 0.12, -0.6]]
    else:
        points = [[sign * 0.66, -0.46], [sign * 0.45, -0.63], [sign * 0.2, -0.58]]
    middle = [[0.0, -0.42]] if sign > 0 else []
    path = _smooth([*points, *middle, [-0.10, -0.35], [-0.115, tip]])
    canvas = chest.frame.new_canvas()
    canvas.lines(path[None], 2.2)
    return 1.3 * canvas.field()


def pacemaker(chest: Chest, finding: ChestFinding) -> Field:
    """A generator below the clavicle with leads to the right atrium and ventricle."""
    sign, size = _sign(finding), chest.heart_size
    centre = np.array([sign * (0.48 + 0.04 * finding.u), -0.44 + 0.03 * finding.v])
    box = np.array([[-0.085, -0.07], [0.085, -0.07], [0.095, 0.0], [0.06, 0.085], [-0.085, 0.07]])
    exit_x, exit_y = centre[0], centre[1] - 0.06
    vein = [[exit_x, exit_y], [sign * 0.26, -0.60], [sign * 0.05, -0.46], [-0.10, -0.30]]
    base = chest.domes[1]
    ventricle = _smooth([*vein, [-0.12, 0.05], [-0.02, base - 0.16], [0.8 * size, base - 0.12]])
    atrium = _smooth([*vein, [-0.14, 0.0], [-0.12, 0.14], [-0.19, 0.06]])
    canvas = chest.frame.new_canvas()
    canvas.lines(np.stack([ventricle[-1:], ventricle[-4:-3]], axis=1), 2.5)
    for lead in (ventricle, atrium):
        canvas.lines(lead[None], 1.3, 0.7)
    canvas.polygons((centre + box)[None], 1.0)
    canvas.discs(centre[None] + [0.02, -0.02], 0.03, 0.8)
    return 1.5 * canvas.field()


def ecg_leads(chest: Chest, finding: ChestFinding) -> Field:
    """Electrode pads with wires that run off the picture."""
    w = chest.anatomy.half_width
    jitter = 0.04 * np.random.default_rng(finding.seed).standard_normal((4, 2))
    middles = np.array([[-0.72, -0.48], [0.72, -0.48], [-0.85, 0.42], [0.85, 0.36]])
    pads = jitter + middles * [w, 1]
    canvas = chest.frame.new_canvas()
    for pad, x in zip(pads, (-0.35, 0.3, -0.2, 0.15), strict=True):
        wire = _smooth([pad, [0.6 * pad[0] + 0.4 * x, pad[1] + 0.25], [x, 0.7], [x, 1.2]])
        canvas.lines(wire[None], 1.5, 0.6)
    canvas.discs(pads, 0.046, 0.75)
    canvas.discs(pads, 0.018, 1.0)
    return 1.1 * canvas.field()


def chest_tube(chest: Chest, finding: ChestFinding) -> Field:
    """A wide drain from the lower chest wall towards the apex."""
    sign, w = _sign(finding), chest.anatomy.half_width
    tip = chest.place(finding.side, 0.45 + 0.15 * finding.u, 0.22 + 0.08 * finding.v)
    bend = [sign * 0.86 * w, 0.0]
    path = _smooth([[sign * (w + 0.35), 0.36], [sign * (w + 0.05), 0.22], bend, tip.tolist()])
    canvas = chest.frame.new_canvas()
    canvas.ribbons(path[None], 0.042, 0.35)
    canvas.lines(path + _walls(0.015), 1.1, 1.0)
    return 1.3 * canvas.field()


DEVICE_DRAWINGS: dict[str, Callable[[Chest, ChestFinding], Field]] = {
    "endotracheal tube": endotracheal_tube,
    "feeding tube": feeding_tube,
    "central line": central_line,
    "pacemaker": pacemaker,
    "ECG leads": ecg_leads,
    "chest tube": chest_tube,
}


def remains_of_surgery(chest: Chest) -> Field:
    """Clips, sternal wires and a calcified aortic wall: dense, but no finding."""
    anatomy, canvas = chest.anatomy, chest.frame.new_canvas()
    rng = np.random.default_rng(anatomy.seed + 2)
    if anatomy.clips:
        w = anatomy.half_width
        places = {"right upper abdomen": [-0.30, chest.domes[0] + 0.28]}
        side = 1 if anatomy.clips.startswith("left") else -1
        middle = np.array(places.get(anatomy.clips, [side * (w + 0.06), -0.16]))
        centres = middle + rng.uniform(-0.08, 0.08, (5, 1, 2))
        angles = rng.uniform(0, np.pi, (5, 1))
        reach = 0.024 * np.stack([np.cos(angles), np.sin(angles)], -1)
        canvas.lines(centres + reach * [[-1], [1]], 1.6)
    if anatomy.sternotomy:
        t = np.linspace(0, 2 * np.pi, 12)
        loop = np.stack([0.035 * np.cos(t), 0.018 * np.sin(t) + 0.01 * np.cos(2 * t)], -1)
        heights = np.stack([np.full(6, 0.01), np.linspace(-0.48, 0.22, 6)], -1)
        canvas.lines(heights[:, None] + loop, 1.1)
    if anatomy.aorta == "calcified":
        t = np.linspace(-1.3, 0.9, 12)
        arc = np.stack([0.115 + 0.055 * np.cos(t), -0.34 + 0.07 * np.sin(t)], -1)
        canvas.lines(arc[None], 1.4, 0.8)
    return 0.9 * canvas.field()
