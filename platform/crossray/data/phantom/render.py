"""Puts body, bones, vessels, findings and acquisition together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossray.data.phantom import devices, findings, skeleton
from crossray.data.phantom.acquisition import expose
from crossray.data.phantom.anatomy import Chest, lung_texture
from crossray.data.phantom.canvas import SIZE, Field, Frame
from crossray.data.phantom.labels import SUPPORT_DEVICES
from crossray.data.phantom.study import ChestFinding, PhantomStudy

_DRAWINGS: dict[str, Callable[[Chest, ChestFinding, Field], Field]] = {
    "Lung Opacity": findings.haze,
    "Lung Lesion": findings.lesion,
    "Edema": findings.edema,
    "Consolidation": findings.consolidation,
    "Pneumonia": findings.pneumonia,
    "Atelectasis": findings.atelectasis,
    "Pneumothorax": findings.pneumothorax,
    "Pleural Effusion": findings.effusion,
    "Pleural Other": findings.thickening,
}
_VISIBLE = 0.05  # attenuation above which a pixel belongs to a finding
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Rendering:
    """Grey values in [0, 1], (224, 224), and a box (x0, y0, x1, y1) in [0, 1] a finding drawn."""

    grey: Field
    boxes: tuple[tuple[str, Rectangle], ...]


def render(study: PhantomStudy) -> Rendering:
    """The film of a study before it is developed."""
    chest = Chest(study, Frame(study.acquisition))
    markings = skeleton.vessels(chest) + lung_texture(chest)
    total = chest.attenuation() + markings
    for bones in (skeleton.ribs, skeleton.clavicles, skeleton.shoulders, skeleton.spine):
        total += bones(chest)
    total += devices.remains_of_surgery(chest)
    boxes = []
    for finding in study.drawn:
        added = _added(chest, finding, markings)
        if added is None:
            shown = _reshaped(chest, finding)
        else:
            total += added
            shown = np.abs(added) > _VISIBLE
        box = _bounds(shown)
        if box is not None:
            boxes.append((finding.name, box))
    return Rendering(expose(total, study.acquisition), tuple(boxes))


def _added(chest: Chest, finding: ChestFinding, markings: Field) -> Field | None:
    """Attenuation of a finding, or None where it changes the shape of the chest instead."""
    if finding.name == SUPPORT_DEVICES:
        return devices.DEVICE_DRAWINGS[finding.kind](chest, finding)
    drawing = _DRAWINGS.get(finding.name)
    return drawing(chest, finding, markings) if drawing else None


def _reshaped(chest: Chest, finding: ChestFinding) -> NDArray[np.bool_]:
    """Where the chest has another shape because of a finding."""
    if finding.name == "Cardiomegaly":
        return chest.heart > 0.1
    if finding.name == "Enlarged Cardiomediastinum":
        return (chest.mediastinum > 0.1) & (chest.y > -0.72) & (chest.y < -0.04)
    canvas = chest.frame.new_canvas()
    canvas.discs(skeleton.fracture_sites(chest, finding).reshape(-1, 2), 0.03)
    return canvas.field() > 0


def _bounds(shown: NDArray[np.bool_]) -> Rectangle | None:
    columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
    if not len(columns):
        return None
    return tuple(  # type: ignore[return-value]
        float(edge) / SIZE for edge in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    )


def structure_masks(study: PhantomStudy) -> dict[str, NDArray[np.bool_]]:
    """Boolean masks (224, 224) of the structures of a study, ignoring what lies over them."""
    chest = Chest(study, Frame(study.acquisition))
    lungs = chest.lung > 0.5
    return {
        "right lung": lungs & chest.on_side("right"),
        "left lung": lungs & chest.on_side("left"),
        "heart": (chest.heart > 0.5) & (chest.floor > 0) & ~lungs,
        "mediastinum": (chest.mediastinum > 0.5) & (chest.y < -0.04) & (chest.top > 0) & ~lungs,
        "clavicles": skeleton.clavicles(chest) > 0.2,
        "ribs": skeleton.ribs(chest) > 0.1,
        "spine": skeleton.spine(chest) > 0.15,
    }
