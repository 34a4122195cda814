"""What a report says besides the findings: volumes, diaphragm, aorta, spine, body, old surgery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from crossray.data.phantom.study import Study

T = TypeVar("T")


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


# What is beside the point of a film is seen more often than it is reported.
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


def remarks(study: Study, pick: Pick) -> Remarks:
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


def _phrases(study: Study, convex: str) -> tuple[str, ...]:
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
