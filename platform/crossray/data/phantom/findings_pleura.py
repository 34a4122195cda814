"""Findings of the pleura: each function gives the attenuation that the finding adds."""

from __future__ import annotations

import numpy as np

from crossray.data.phantom.anatomy import Chest
from crossray.data.phantom.canvas import Field, smoothstep, texture
from crossray.data.phantom.study import Finding

# Height of the fluid above the dome of the diaphragm, as a share of the lung.
_LEVELS = {"small": (-0.10, 0.02), "moderate": (0.17, 0.30), "large": (0.45, 0.62)}
# Width of the air at the apex and at the base.
_GAPS = {"small": ((0.12, 0.19), 0.0), "large": ((0.24, 0.32), 0.75)}


def effusion(chest: Chest, finding: Finding, markings: Field) -> Field:
    """Fluid that fills the costophrenic angle, with a meniscus that climbs the chest wall."""
    low, high = _LEVELS[finding.severity]
    dome = chest.domes[1 if finding.side == "left" else 0]
    level = dome - (low + (high - low) * finding.size) * (dome - chest.anatomy.apex)
    climb = 0.16 if finding.severity == "small" else 0.24
    surface = level - climb * np.exp(-np.maximum(chest.wall, 0) * 9)
    fluid = smoothstep(chest.y - surface.astype(np.float32), 0.035)
    added: Field = 0.90 * fluid * (chest.air - markings) * chest.on_side(finding.side)
    return added


def pneumothorax(chest: Chest, finding: Finding, markings: Field) -> Field:
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


def thickening(chest: Chest, finding: Finding, markings: Field) -> Field:
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
