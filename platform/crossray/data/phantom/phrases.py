"""Noun phrases for findings, each with a few wordings; a report picks among them.

Every wording of a finding contains one of that finding's own terms and no term of a finding that
it does not imply, so that a text can be checked against the labels.
"""

from __future__ import annotations

from collections.abc import Sequence

from crossray.data.phantom.labels import LUNG_OPACITY, SUPPORT_DEVICES
from crossray.data.phantom.study import (
    CM_PER_UNIT,
    Finding,
    fractured_ribs,
    lesion_radius,
    tube_tip_above_carina,
)

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_GRADES = {
    "small": ("small", "small", "minimal"),
    "moderate": ("moderate",),
    "large": ("large", "large", "extensive"),
    "mild": ("mild", "slight"),
    "severe": ("severe", "marked"),
}
_PHRASES: dict[str, tuple[str, ...]] = {
    "Enlarged Cardiomediastinum": (
        "widening of the mediastinum",
        "mediastinal widening",
        "a widened upper mediastinum",
    ),
    "Cardiomegaly": (
        "{grade} cardiomegaly",
        "{grade} enlargement of the heart",
        "{grade} enlargement of the cardiac silhouette",
    ),
    LUNG_OPACITY: (
        "a hazy opacity in the {place}",
        "an ill-defined opacity in the {place}",
        "a nonspecific {side} {zone} zone opacity",
    ),
    "Edema": (
        "{grade} pulmonary edema",
        "{grade} perihilar edema with septal lines",
        "{grade} interstitial and perihilar edema",
    ),
    "Consolidation": (
        "consolidation in the {place}",
        "{side} {zone} zone consolidation with air bronchograms",
        "dense airspace consolidation of the {place}",
    ),
    "Pneumonia": (
        "patchy opacities of pneumonia in the {place}",
        "{side} {zone} zone pneumonia",
        "multifocal {side} {zone} zone pneumonia",
    ),
    "Atelectasis": (
        "plate-like atelectasis in the {place}",
        "linear atelectasis in the {side} {zone} zone",
        "{side} {zone} zone subsegmental atelectasis",
    ),
    "Pneumothorax": (
        "a {grade} {side} pneumothorax",
        "a {grade} pneumothorax on the {side}",
        "a {grade} {side}-sided pneumothorax",
    ),
    "Pleural Effusion": (
        "a {grade} {side} pleural effusion",
        "a {grade} {side}-sided pleural effusion",
        "a {grade} pleural effusion on the {side}",
    ),
    "Fracture": (
        "fractures of the {side} {ribs} ribs",
        "displaced {side} rib fractures ({ribs})",
        "{side}-sided fractures of the {ribs} ribs",
    ),
}
_LESIONS = {
    "small": ("a {size} cm nodule in the {place}", "a {side} {zone} zone nodule of {size} cm"),
    "large": ("a {size} cm mass in the {place}", "a {side} {zone} zone mass measuring {size} cm"),
}
_THICKENING = {
    "apical": ("{side} apical pleural thickening", "pleural capping at the {side} apex"),
    "lateral": (
        "pleural thickening along the {side} lateral chest wall",
        "{side} lateral pleural thickening",
    ),
}
_DEVICES = {
    "endotracheal tube": (
        "an endotracheal tube with its tip {height} cm above the carina",
        "an endotracheal tube ending {height} cm above the carina",
    ),
    "feeding tube": (
        "an enteric feeding tube that reaches the stomach",
        "a nasogastric tube with its tip in the stomach",
    ),
    "central line": (
        "a {side} {form} central venous line ending in the superior vena cava",
        "a {side} {form} central venous catheter with its tip in the superior vena cava",
    ),
    "pacemaker": (
        "a {side} chest wall pacemaker with right atrial and ventricular leads",
        "a {side}-sided dual-lead pacemaker",
    ),
    "ECG leads": ("ECG leads over the chest", "overlying ECG electrodes and wires"),
    "chest tube": (
        "a {side} chest tube directed to the apex",
        "a {side}-sided thoracostomy tube",
    ),
}


def wordings(finding: Finding) -> list[str]:
    """All wordings of a finding, facts filled in, without a capital and without a full stop."""
    facts = {
        "side": finding.side,
        "zone": finding.zone,
        "form": finding.form,
        "place": f"{finding.side} {finding.zone} zone",
        "ribs": series([_ORDINALS[rib - 1] for rib in fractured_ribs(finding)]),
        "size": f"{2 * CM_PER_UNIT * lesion_radius(finding):.1f}",
        "height": f"{CM_PER_UNIT * tube_tip_above_carina(finding):.0f}",
    }
    return [
        template.format(grade=grade, **facts)
        for template in _templates(finding)
        for grade in _GRADES.get(finding.severity, ("",))
    ]


def _templates(finding: Finding) -> Sequence[str]:
    if finding.name == SUPPORT_DEVICES:
        return _DEVICES[finding.kind]
    if finding.name == "Pleural Other":
        return _THICKENING[finding.form]
    if finding.name == "Lung Lesion":
        return _LESIONS[finding.severity]
    return _PHRASES[finding.name]


def series(words: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
