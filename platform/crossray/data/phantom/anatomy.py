"""The soft parts of the chest: body, lungs, heart, mediastinum and diaphragm.

Everything is a map of attenuation (the line integral of Beer-Lambert's law, dimensionless).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossray.data.phantom.canvas import Field, Frame, smoothstep, texture
from crossray.data.phantom.study import ChestFinding, PhantomStudy

AIR = 1.75  # attenuation that a lung of full depth takes from the body
CARINA = -0.20
_COSTOPHRENIC_DROP = 0.24  # how much lower the diaphragm is at the chest wall
_INSPIRATION = {"low": -0.12, "normal": 0.0, "high": 0.10}
_HEART_GROWTH = {"mild": (0.10, 0.13), "moderate": (0.15, 0.18), "severe": (0.21, 0.27)}
_SOFT_TISSUE = {"thin": 0.10, "average": 0.17, "large": 0.27}
_BODY = {"thin": -0.15, "average": 0.0, "large": 0.3}

Values = NDArray[np.floating[Any]]  # at any number of points


class Chest:
    """The geometry of one study on the pixel grid.

    Attributes:
        x, y: patient coordinates.
        lung: soft mask of both lungs; ``air``: the attenuation they take away.
        wall: distance inwards from the chest wall; ``floor``: distance upwards from the diaphragm.
        heart, mediastinum: soft masks; ``silhouette``: of both, grown together.
        depth: 0 at the apex of the lung, 1 at the diaphragm's dome.
    """

    def __init__(self, study: PhantomStudy, frame: Frame) -> None:
        self.study, self.anatomy, self.frame = study, study.anatomy, frame
        self.x, self.y = frame.grid()
        self.is_left = self.x > 0
        self.across = np.abs(self.x)
        self.domes = _domes(study)
        self.heart_size = _heart_half_width(study)
        self.widening = _widening(study.drawn)
        self.wall, self.floor, self.top = self._lung_distances()
        heart, middle = self._heart_distance(), self._mediastinal_width() - self.across
        self.heart = smoothstep(heart, 0.014)
        self.mediastinum = smoothstep(middle, 0.012)
        self.silhouette = smoothstep(_blend(heart, middle, 0.09), 0.013)
        self.lung = self._lung()
        self.air = AIR * self.lung * (0.5 + 0.5 * np.sqrt(np.clip(self.wall / 0.4, 0, 1)))
        right, left = (dome - self.anatomy.apex for dome in self.domes)
        height = np.where(self.is_left, np.float32(left), np.float32(right))
        self.depth = (self.y - np.float32(self.anatomy.apex)) / height

    def on_side(self, side: str) -> NDArray[np.bool_]:
        """The pixels of one side of the patient; their left is on the right of the image."""
        return self.is_left if side == "left" else ~self.is_left

    def lateral(self, y: Values) -> Values:
        """Distance of the inner chest wall from the midline at height y."""
        anatomy = self.anatomy
        q = np.clip((y - anatomy.apex) * (1 / 0.95), 0, 1)
        p = 1 - q
        reach: Values = anatomy.half_width * (1 - p * p * np.sqrt(np.sqrt(p))) ** 0.6
        return reach

    def place(self, side: str, u: float, v: float) -> NDArray[np.float64]:
        """The point at u (0 medial, 1 lateral) and v (0 apex, 1 diaphragm) of a lung."""
        sign, dome = (1, self.domes[1]) if side == "left" else (-1, self.domes[0])
        y = self.anatomy.apex + v * (dome - self.anatomy.apex)
        inner = max(0.14, float(self._heart_border(side, y)) + 0.02)
        outer = float(self.lateral(np.array(y)))
        return np.array([sign * (inner + u * (outer - inner)), y])

    def spine(self, y: Values) -> Values:
        """The x of the spine at height y."""
        bend: Values = self.anatomy.scoliosis * np.sin((y + 0.85) * (np.pi / 1.5))
        return bend

    def attenuation(self) -> Field:
        """Of the body with its air, without bones and vessels."""
        total: Field = self._body() - self.air + self._soft_organs() - self._airways()
        return total

    def _lung_distances(self) -> tuple[Field, Field, Field]:
        wall = (self.lateral(self.y) - self.across).astype(np.float32)
        right, left = self.domes
        peak = np.where(self.is_left, np.float32(0.36), np.float32(0.32))
        beyond = self.across - peak
        drop = np.where(
            beyond > 0,
            _COSTOPHRENIC_DROP * (np.maximum(beyond, 0) / (self.anatomy.half_width - peak)) ** 2,
            0.5 * beyond * beyond,
        )
        floor = np.where(self.is_left, np.float32(left), np.float32(right)) + drop - self.y
        medial = np.maximum(0.26 - self.across, 0)
        top = self.y - np.float32(self.anatomy.apex) - 5.0 * medial * medial
        return wall, floor.astype(np.float32), top

    def _lung(self) -> Field:
        inside = smoothstep(self.wall, 0.018) * smoothstep(self.floor, 0.014)
        inside *= smoothstep(self.top, 0.03)
        return inside * (1 - self.silhouette)

    def _heart_distance(self) -> Field:
        """Distance inwards of an ellipse whose long axis points to the apex of the heart."""
        size, tilt = self.heart_size, self.anatomy.heart_tilt
        cos, sin = math.cos(tilt), math.sin(tilt)
        long = size / math.hypot(cos, 0.8 * sin)
        centre_x, centre_y = 0.34 * size, self._heart_centre()
        dx, dy = self.x - np.float32(centre_x), self.y - np.float32(centre_y)
        along, over = (dx * cos + dy * sin) / long, (dy * cos - dx * sin) / (0.8 * long)
        radius = np.sqrt(along * along + over * over)
        distance: Field = (1 - radius) * np.float32(0.9 * long)
        return distance

    def _heart_centre(self) -> float:
        return 0.5 * (self.domes[0] + self.domes[1]) - 0.62 * self.heart_size + 0.02

    def _heart_border(self, side: str, y: float) -> float:
        """Rough reach of the heart to one side at height y."""
        reach = self.heart_size * (1.34 if side == "left" else 0.66)
        height = abs(y - self._heart_centre()) / (0.9 * self.heart_size)
        return reach * float(np.sqrt(max(0.0, 1 - height * height)))

    def _mediastinal_width(self) -> Field:
        """Half-width on both sides: aortic knob and pulmonary trunk on the left, veins right."""
        anatomy, y = self.anatomy, self.y
        knob, trunk = (0.05, 0.035) if anatomy.aorta != "tortuous" else (0.115, 0.035)
        bulges = knob * _bump(y, -0.34, 0.085) + trunk * _bump(y, -0.12, 0.10)
        veins = 0.02 * _bump(y, -0.25, 0.2) + 0.03 * smoothstep(-0.62 - y, 0.1)
        width = anatomy.mediastinum + np.where(self.is_left, bulges, veins)
        return width + self.widening * _bump(y, -0.36, 0.22)

    def _body(self) -> Field:
        """Trunk, shoulders and neck; nothing outside of them."""
        anatomy = self.anatomy
        flank = anatomy.half_width + _SOFT_TISSUE[anatomy.habitus] + 0.02
        reach = flank + 0.5 * smoothstep(-0.16 - self.y, 0.34)
        shoulder = self.y + 1.02 - 0.33 * np.clip(self.across - 0.30, 0, 0.9)
        shoulder = np.maximum(shoulder, 0.30 - self.across)
        r2 = np.clip(self.across / reach, 0, 1) ** 2
        body = (2.75 + _BODY[anatomy.habitus]) * np.sqrt(1 - r2 * r2)
        thinning = 0.62 + 0.38 * smoothstep(shoulder - 0.05, 0.16)
        trunk: Field = body * thinning * smoothstep(shoulder, 0.02)
        return trunk

    def _soft_organs(self) -> Field:
        anatomy = self.anatomy
        centre = 0.3 * self.heart_size
        bulk = np.clip(1 - ((self.x - centre) / (self.heart_size * 1.2)) ** 2, 0, 1)
        organs: Field = self.silhouette * (0.15 + 0.5 * bulk) + 0.25 * self.mediastinum
        below = smoothstep(-self.floor, 0.02) * smoothstep(self.wall + 0.04, 0.08)
        organs += below * np.where(self.is_left, np.float32(0.32), np.float32(0.48))
        if self.study.stomach_bubble:
            organs -= self._stomach(below)
        if anatomy.breasts:
            organs += self._breasts()
        return organs

    def _stomach(self, below: Field) -> Field:
        centre = np.float32(self.domes[1] + 0.13)
        radius = np.hypot((self.x - np.float32(0.36)) / 1.5, self.y - centre)
        bubble: Field = 1.1 * below * smoothstep(0.085 - radius, 0.025)
        return bubble

    def _breasts(self) -> Field:
        centre = 0.55 * self.anatomy.half_width + 0.02
        radius = np.hypot((self.across - centre) / 0.33, (self.y - 0.20) / 0.36)
        fold = smoothstep(1 - radius, 0.05) * np.clip((self.y + 0.2) / 0.5, 0.0, 1)
        shadow: Field = np.float32(self.anatomy.breasts) * fold
        return shadow

    def _airways(self) -> Field:
        """The trachea and the two main bronchi."""
        middle = 0.5 * self.spine(self.y).astype(np.float32) + 0.01
        bore = np.clip(1 - ((self.x - middle) / 0.05) ** 2, 0, 1)
        trachea = np.sqrt(bore) * smoothstep(CARINA - self.y, 0.04)
        canvas = self.frame.new_canvas()
        right = [[0.0, CARINA - 0.02], [-0.08, CARINA + 0.07], [-0.16, CARINA + 0.14]]
        left = [[0.01, CARINA - 0.02], [0.10, CARINA + 0.06], [0.20, CARINA + 0.11]]
        canvas.ribbons(np.array([right, left]), 0.05)
        air: Field = 0.55 * np.maximum(trachea, 0.7 * canvas.field())
        return air


def lung_texture(chest: Chest) -> Field:
    """Fine structure of the lungs, particular to the patient up to its position on the film."""
    rng = np.random.default_rng(chest.anatomy.seed)
    return 0.07 * texture(rng, 56) * chest.lung


def _blend(a: Field, b: Field, softness: float) -> Field:
    """The larger of two distances, rounded where they meet."""
    gap = a - b
    rounded: Field = 0.5 * (a + b + np.sqrt(gap * gap + softness**2) - 0.3 * softness)
    return rounded


def _bump(y: Field, centre: float, width: float) -> Field:
    t = (y - np.float32(centre)) * np.float32(1 / width)
    return np.exp(-t * t)


def _domes(study: PhantomStudy) -> tuple[float, float]:
    shift = _INSPIRATION[study.volumes]
    raised = {"right": 0.15, "left": 0.20}
    right, left = (
        dome + shift - (raised[side] if study.anatomy.elevated == side else 0.0)
        for dome, side in zip(study.anatomy.dome, ("right", "left"), strict=True)
    )
    return right, left


def _heart_half_width(study: PhantomStudy) -> float:
    """Half the transverse diameter: the cardiothoracic ratio of the lungs' width."""
    ratio = study.anatomy.heart_ratio + (0.015 if study.acquisition.view == "AP" else 0.0)
    for finding in study.drawn:
        if finding.name == "Cardiomegaly":
            low, high = _HEART_GROWTH[finding.severity]
            ratio += low + (high - low) * finding.size
    return ratio * study.anatomy.half_width


def _widening(findings: tuple[ChestFinding, ...]) -> float:
    sizes = [f.size for f in findings if f.name == "Enlarged Cardiomediastinum"]
    return 0.075 + 0.06 * sizes[0] if sizes else 0.0
