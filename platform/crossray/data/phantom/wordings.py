"""Wordings that a report picks from: phrases for findings, and remarks on everything else.

Remarks are about volumes, diaphragm, aorta, spine, body and old surgery.

Every wording of a finding contains a term of that finding and no term of a finding that
it does not imply, so that a text can be checked against the labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from crossray.data.phantom.labels import LUNG_OPACITY, SUPPORT_DEVICES
from crossray.data.phantom.study import (
    CM_PER_UNIT,
    ChestFinding,
    PhantomStudy,
    fractured_ribs,
    lesion_radius,
    tube_tip_above_carina,
)

T = TypeVar("T")

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


def wordings(finding: ChestFinding) -> list[str]:
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


def _templates(finding: ChestFinding) -> Sequence[str]:
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


class Pick:
    """Chooses among wordings."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def __call__(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[int(self._rng.random() * len(choices))]

    def order(self, choices: Sequence[T]) -> list[T]:
        """The choices in any order."""
        return [choices[i] for i in self._rng.permutation(len(choices))]

    def chance(self, probability: float) -> bool:
        """True that often."""
        return bool(self._rng.random() < probability)


@dataclass(frozen=True)
class Remarks:
    """Sentences by the place in the report where they belong; ``phrases`` for captions."""

    volumes: tuple[str, ...]
    diaphragm: tuple[str, ...]
    mediastinum: tuple[str, ...]  # wordings of a normal one, to choose from
    aorta: tuple[str, ...]
    other: tuple[str, ...]
    phrases: tuple[str, ...]


# What a film is not taken for is seen more often than it is reported.
_MENTIONED = 0.2
_VOLUMES = {
    "low": ("Lung volumes are low.", "Low lung volumes.", "Shallow inspiration."),
    "normal": ("The lungs are well expanded.", "Normal inspiration.", "Normal lung volumes."),
    "high": ("The lungs are hyperinflated.", "Hyperinflated lungs with flat hemidiaphragms."),
}
_MEDIASTINUM = (
    "The mediastinal contours are normal.",
    "Mediastinal contours are unremarkable.",
    "The mediastinum is not widened.",
)
_ELEVATED = (
    "The {} hemidiaphragm is elevated.",
    "Elevation of the {} hemidiaphragm.",
    "Elevated {} hemidiaphragm.",
)
_AORTA = {
    "tortuous": ("The aorta is tortuous.", "Prominent aortic knob.", "Tortuous thoracic aorta."),
    "calcified": (
        "The aortic arch is calcified.",
        "Calcification of the aortic knob.",
        "Atherosclerotic calcification of the aortic arch.",
    ),
}
_SCOLIOSIS = (
    "Scoliosis of the thoracic spine convex to the {}.",
    "Thoracic scoliosis with convexity to the {}.",
    "There is {} convex thoracic scoliosis.",
)
_DEGENERATIVE = (
    "Degenerative changes of the thoracic spine.",
    "Multilevel degenerative osteophytes of the spine.",
)
_CLIPS = (
    "Surgical clips project over the {}.",
    "Surgical clips in the {}.",
    "Metallic clips over the {}.",
)
_STERNOTOMY = (
    "Median sternotomy wires are intact.",
    "Status post sternotomy with midline wires.",
    "Sternotomy wires in the midline.",
)
_BREASTS = ("Overlying breast shadows.", "Breast shadows project over both lower zones.")
_HABITUS = {
    "large": ("Large body habitus.", "The soft tissues of the chest wall are thick."),
    "thin": ("Thin body habitus.", "Slender patient with thin soft tissues."),
}
_STOMACH = (
    "Gas in the stomach below the left hemidiaphragm.",
    "A gastric air bubble is seen.",
    "Gastric bubble under the left hemidiaphragm.",
)


def remarks(study: PhantomStudy, pick: Pick) -> Remarks:
    """What holds for a study and is mentioned, and in which words: ``pick`` chooses both."""
    anatomy = study.anatomy
    convex = "left" if anatomy.scoliosis > 0 else "right"
    other = (
        *_if(anatomy.scoliosis != 0, pick, _SCOLIOSIS, convex),
        *_if(anatomy.degenerative, pick, _DEGENERATIVE),
        *_if(anatomy.sternotomy, pick, _STERNOTOMY),
        *_if(anatomy.clips != "", pick, _CLIPS, anatomy.clips),
        *_if(anatomy.breasts > 0, pick, _BREASTS),
        *_if(anatomy.habitus in _HABITUS, pick, _HABITUS.get(anatomy.habitus, ())),
        *_if(study.stomach_bubble, pick, _STOMACH),
    )
    return Remarks(
        volumes=(pick(_VOLUMES[study.volumes]),),
        diaphragm=_if(anatomy.elevated != "", pick, _ELEVATED, anatomy.elevated),
        mediastinum=_MEDIASTINUM,
        aorta=_if(anatomy.aorta in _AORTA, pick, _AORTA.get(anatomy.aorta, ())),
        other=other,
        phrases=tuple(p for p in _phrases(study, convex) if pick.chance(_MENTIONED)),
    )


def _if(holds: bool, pick: Pick, templates: Sequence[str], value: str = "") -> tuple[str, ...]:
    mentioned = holds and pick.chance(_MENTIONED)
    return (pick(templates).format(value),) if mentioned else ()


def _phrases(study: PhantomStudy, convex: str) -> tuple[str, ...]:
    """The remarks as noun phrases."""
    anatomy = study.anatomy
    held = {
        f"{study.volumes} lung volumes": study.volumes != "normal",
        f"an elevated {anatomy.elevated} hemidiaphragm": anatomy.elevated != "",
        f"a {anatomy.aorta} aorta": anatomy.aorta != "normal",
        f"scoliosis to the {convex}": anatomy.scoliosis != 0,
        "degenerative changes of the spine": anatomy.degenerative,
        "sternotomy wires": anatomy.sternotomy,
        f"surgical clips over the {anatomy.clips}": anatomy.clips != "",
        "breast shadows": anatomy.breasts > 0,
        f"a {anatomy.habitus} body habitus": anatomy.habitus != "average",
        "gas in the stomach": study.stomach_bubble,
    }
    return tuple(phrase for phrase, holds in held.items() if holds)
