"""Findings of lungs and pleura: each function gives the attenuation that the finding adds.

What fills air spaces takes the place of air, so it adds a share of ``chest.air`` and hides the
same share of the vessels; borders with the heart and the diaphragm vanish by themselves
(the silhouette sign).
"""

import numpy as np

from crossray.data.phantom.anatomy import Chest
from crossray.data.phantom.canvas import Field, smoothstep, texture
from crossray.data.phantom.study import ChestFinding, lesion_radius

_ZONE_DEPTH = {"upper": 0.26, "middle": 0.52, "lower": 0.77}
# Height of the fluid above the dome of the diaphragm, as a share of the lung.
_LEVELS = {"small": (-0.10, 0.02), "moderate": (0.17, 0.30), "large": (0.45, 0.62)}
# Width of the air at the apex and at the base.
_GAPS = {"small": ((0.12, 0.19), 0.0), "large": ((0.24, 0.32), 0.75)}


def _filled(chest: Chest, markings: Field, share: Field) -> Field:
    added: Field = share * (chest.air - markings)
    return added


def _spread(chest: Chest, finding: ChestFinding, width: float, height: float) -> Field:
    """Squared distance from the middle of the finding's zone, 1 on an ellipse of that size."""
    centre = chest.place(
        finding.side, 0.5 + 0.12 * finding.u, _ZONE_DEPTH[finding.zone] + 0.04 * finding.v
    )
    dx, dy = (chest.x - np.float32(centre[0])) / width, (chest.y - np.float32(centre[1])) / height
    return np.where(chest.on_side(finding.side), dx * dx + dy * dy, np.float32(9))


def consolidation(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """A dense lobar opacity with an air bronchogram."""
    rng = np.random.default_rng(finding.seed)
    size = 0.85 + 0.3 * finding.size
    distance = _spread(chest, finding, 0.27 * size, 0.20 * size) + 0.16 * texture(rng, 7)
    share = 0.68 * smoothstep(1 - distance, 0.3)
    return _filled(chest, markings, share * (1 - 0.6 * _bronchi(chest, finding)))


def _bronchi(chest: Chest, finding: ChestFinding) -> Field:
    """Branching air-filled bronchi that radiate from the hilum through the finding's zone."""
    depth = _ZONE_DEPTH[finding.zone]
    root = chest.place(finding.side, 0.05, 0.5 * (depth + 0.52))
    ends = [chest.place(finding.side, 0.75, depth + shift) for shift in (-0.10, 0.0, 0.10)]
    t = np.linspace(0, 1, 6)[:, None]
    paths = np.stack([root + (end - root) * t for end in ends])
    canvas = chest.frame.new_canvas()
    canvas.ribbons(paths, 0.026 * np.linspace(1, 0.5, 6))
    return canvas.field()


def pneumonia(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """Patchy opacities scattered over a zone."""
    rng = np.random.default_rng(finding.seed)
    distance = _spread(chest, finding, 0.34, 0.25)
    grain = 0.75 * texture(rng, 23) + 0.65 * texture(rng, 11)
    patches = smoothstep(grain + 0.05 + 0.25 * finding.size, 0.9)
    share = (0.50 + 0.14 * finding.size) * patches * smoothstep(1 - distance, 0.45)
    return _filled(chest, markings, share)


def haze(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """An unspecific hazy opacity through which vessels stay visible."""
    distance = _spread(chest, finding, 0.30, 0.24)
    added: Field = (0.26 + 0.08 * finding.size) * smoothstep(1 - distance, 0.7) * chest.air
    return added


def lesion(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """A round nodule or mass: the chord of a sphere of soft tissue."""
    radius = lesion_radius(finding)
    depth = _ZONE_DEPTH[finding.zone] + 0.07 * finding.v
    x, y = chest.place(finding.side, 0.55 + 0.2 * finding.u, depth)
    r2 = ((chest.x - np.float32(x)) ** 2 + (chest.y - np.float32(y)) ** 2) / radius**2
    chord = np.sqrt(np.clip(1.06 - r2, 0, 1))
    density = 1.1 if finding.severity == "small" else 1.25
    added: Field = density * chord * np.minimum(chest.lung * 1.5, 1)
    return added


def edema(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """Perihilar haze in the shape of bat wings, wide vessels, and Kerley B lines."""
    rng = np.random.default_rng(finding.seed)
    severe = finding.severity == "severe"
    reach, share = (0.34, 0.46) if severe else (0.25, 0.24)
    distance = ((chest.across - 0.24) / reach) ** 2 + ((chest.y - 0.02) / (1.25 * reach)) ** 2
    wings = np.exp(-0.9 * distance) * (1 + 0.22 * texture(rng, 14))
    congestion = (0.7 if severe else 0.55) * markings * np.exp(-0.3 * distance)
    shown: Field = share * wings * chest.air + congestion + 0.30 * _kerley_lines(chest, rng)
    return shown


def _kerley_lines(chest: Chest, rng: np.random.Generator) -> Field:
    """Short horizontal lines at the lateral wall of the lower lungs."""
    starts = [
        chest.place(side, 0.97, v + rng.uniform(-0.01, 0.01))
        for side in ("right", "left")
        for v in np.linspace(0.68, 0.98, 6)
    ]
    outer = np.array(starts)
    length = rng.uniform(0.07, 0.11, (len(outer), 1))
    inner = outer - np.sign(outer) * length * [1, 0]
    canvas = chest.frame.new_canvas()
    canvas.lines(np.stack([outer, inner], axis=1), 1.0)
    return canvas.field() * chest.lung


def atelectasis(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """One or two plates of collapsed lung, lying nearly flat."""
    depth = 0.86 if finding.zone == "lower" else 0.60
    middle = chest.place(finding.side, 0.5 + 0.1 * finding.u, depth + 0.03 * finding.v)
    t = np.linspace(-1, 1, 9)[:, None]
    slope = np.array([1.0, 0.22 * finding.v])
    plate = middle + (0.17 + 0.06 * finding.size) * t * slope + [0, 0.02] * t * t
    plates = [plate, plate * [1, 1] + [0.03, -0.085]] if finding.seed % 2 else [plate]
    canvas = chest.frame.new_canvas()
    canvas.ribbons(np.stack(plates), 0.042 * (1.15 - np.abs(t[:, 0])))
    return 0.75 * canvas.field() * chest.lung


def effusion(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """Fluid that fills the costophrenic angle, with a meniscus that climbs the chest wall."""
    low, high = _LEVELS[finding.severity]
    dome = chest.domes[1 if finding.side == "left" else 0]
    level = dome - (low + (high - low) * finding.size) * (dome - chest.anatomy.apex)
    climb = 0.16 if finding.severity == "small" else 0.24
    surface = level - climb * np.exp(-np.maximum(chest.wall, 0) * 9)
    fluid = smoothstep(chest.y - surface.astype(np.float32), 0.035)
    added: Field = 0.90 * fluid * (chest.air - markings) * chest.on_side(finding.side)
    return added


def pneumothorax(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """Air without markings outside of a thin pleural line."""
    (low, high), base = _GAPS[finding.severity]
    width = low + (high - low) * finding.size
    fade = np.clip(1.15 - chest.depth * (1.5 if base == 0 else 0.5), base, 1)
    gap = width * fade - 0.05 * (fade < 0.02)
    edge = np.minimum(chest.wall, 0.8 * chest.top) - gap
    inside = chest.lung * chest.on_side(finding.side)
    beyond = smoothstep(-edge, 0.012) * inside
    line = np.exp(-((edge / 0.011) ** 2)) * inside * (gap > 0.01)
    added: Field = 0.55 * line - beyond * (markings + 0.28 * chest.air)
    return added


def thickening(chest: Chest, finding: ChestFinding, markings: Field) -> Field:
    """Pleural thickening: a cap over the apex or an uneven band along the chest wall."""
    rng = np.random.default_rng(finding.seed)
    width = 0.07 + 0.04 * finding.size
    uneven = width * (1 + 0.25 * texture(rng, 12))
    if finding.form == "apical":
        band = smoothstep(1.3 * uneven - chest.top, 0.02) * smoothstep(0.25 - chest.depth, 0.08)
    else:
        extent = smoothstep(0.30 - np.abs(chest.depth - 0.72), 0.06)
        band = smoothstep(uneven - chest.wall, 0.018) * extent
    added: Field = 0.85 * band * chest.air * chest.on_side(finding.side)
    return added
