"""The report: FINDINGS with a sentence a structure, IMPRESSION with one to three."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossray.data.phantom.labels import SUPPORT_DEVICES
from crossray.data.phantom.study import ChestFinding, PhantomStudy
from crossray.data.phantom.wordings import Pick, remarks, series, wordings

_LUNG = {
    "Consolidation": "focal consolidation",
    "Pneumonia": "pneumonia",
    "Edema": "pulmonary edema",
    "Lung Lesion": "suspicious nodule",
    "Atelectasis": "atelectasis",
    "Lung Opacity": "",
}
_PLEURA = {
    "Pleural Effusion": "pleural effusion",
    "Pneumothorax": "pneumothorax",
    "Pleural Other": "pleural thickening",
}
# Most urgent first: the order of the impression.
_URGENCY = (
    "Pneumothorax",
    "Edema",
    "Pneumonia",
    "Consolidation",
    "Lung Lesion",
    "Pleural Effusion",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Cardiomegaly",
    "Lung Opacity",
    "Atelectasis",
    "Pleural Other",
    SUPPORT_DEVICES,
)
_POSITIVE = ("There is {}.", "{}.", "{} is seen.", "{} is present.", "The film shows {}.")
_PLURAL = ("There are {}.", "{}.", "{} are seen.", "{} are present.", "The film shows {}.")
_HEDGED = (
    "Possible {}.",
    "{} cannot be excluded.",
    "Findings may represent {}.",
    "Questionable {}.",
)
_ABSENT = ("No {}.", "There is no {}.", "No {} is seen.", "No evident {}.")
_CLEAR = ("The lungs are clear.", "Lungs are clear without focal opacity.", "Clear lungs.")
_NORMAL_HEART = (
    "The heart is normal in size.",
    "Heart size is within normal limits.",
    "Normal cardiac silhouette.",
)
_NORMAL_BONES = (
    "No acute osseous abnormality.",
    "The osseous structures are intact.",
    "No displaced rib fracture is seen.",
)
_IMPRESSION = ("{}.", "Findings consistent with {}.", "Findings compatible with {}.")
_IMPRESSION_NORMAL = (
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary process.",
    "Normal chest radiograph without acute disease.",
)
_CAPTIONS = (
    "Frontal chest radiograph showing {}.",
    "Chest X-ray with {}.",
    "An image of the chest demonstrates {}.",
    "A frontal view of the chest with {}.",
    "Radiograph of the thorax in which one sees {}.",
)
_CAPTION_NORMAL = ("no acute abnormality", "clear lungs and a normal heart", "no acute disease")


@dataclass(frozen=True)
class Report:
    """Sentences in order; a section is (name, start, stop) over them."""

    sentences: tuple[str, ...]
    sections: tuple[tuple[str, int, int], ...]


def write_phantom_report(study: PhantomStudy) -> Report:
    """FINDINGS and IMPRESSION of a study."""
    pick = Pick(np.random.default_rng(study.report_seed))
    said = remarks(study, pick)
    findings = [
        *_devices(study, pick),
        *said.volumes,
        *_organ(study, pick, _LUNG),
        *said.diaphragm,
        *_organ(study, pick, _PLEURA),
        *_single(study, pick, "Cardiomegaly", _NORMAL_HEART),
        *_single(study, pick, "Enlarged Cardiomediastinum", said.mediastinum),
        *said.aorta,
        *_single(study, pick, "Fracture", _NORMAL_BONES),
        *said.other,
    ]
    impression = _impression(study, pick)
    middle, end = len(findings), len(findings) + len(impression)
    return Report((*findings, *impression), (("FINDINGS", 0, middle), ("IMPRESSION", middle, end)))


def write_captions(study: PhantomStudy, number: int) -> Report:
    """One-sentence captions, each of which names every finding; no sections."""
    pick = Pick(np.random.default_rng(study.report_seed))
    captions = []
    for template in pick.order(_CAPTIONS)[:number]:
        phrases = [pick(wordings(finding)) for finding in study.findings]
        phrases += [f"possible {_bare(pick(wordings(finding)))}" for finding in study.uncertain]
        if not phrases:
            phrases = [pick(_CAPTION_NORMAL)]
        phrases += remarks(study, pick).phrases
        captions.append(template.format(series(phrases)))
    return Report(tuple(captions), ())


def _devices(study: PhantomStudy, pick: Pick) -> list[str]:
    return [
        _state(finding, study, pick) for finding in study.drawn if finding.name == SUPPORT_DEVICES
    ]


def _organ(study: PhantomStudy, pick: Pick, negations: dict[str, str]) -> list[str]:
    """What an organ has, then, in one sentence, some of what it has not."""
    present = [finding for finding in study.drawn if finding.name in negations]
    if not present and negations is _LUNG and pick.chance(0.5):
        return [pick(_CLEAR)]
    names = {finding.name for finding in present}
    absent = [words for name, words in negations.items() if words and name not in names]
    stated = [_state(finding, study, pick) for finding in present]
    absent = pick.order(absent)[: 2 if present else 3]
    return [*stated, pick(_ABSENT).format(series(absent, "or"))] if absent else stated


def _single(study: PhantomStudy, pick: Pick, name: str, otherwise: Sequence[str]) -> list[str]:
    present = [_state(finding, study, pick) for finding in study.drawn if finding.name == name]
    return present or [pick(otherwise)]


def _state(finding: ChestFinding, study: PhantomStudy, pick: Pick) -> str:
    """A sentence about a finding, hedged when it is uncertain."""
    phrase = pick(wordings(finding))
    if finding in study.uncertain:
        return _sentence(pick(_HEDGED), _bare(phrase))
    plural = any(word in phrase for word in ("fractures", "opacities", "ECG"))
    return _sentence(pick(_PLURAL if plural else _POSITIVE), phrase)


def _impression(study: PhantomStudy, pick: Pick) -> list[str]:
    """Up to two sentences for the most urgent findings and one for what remains."""
    findings = sorted(study.drawn, key=lambda finding: _URGENCY.index(finding.name))
    disease = [finding for finding in findings if finding.name != SUPPORT_DEVICES]
    if not disease:
        return [pick(_IMPRESSION_NORMAL)]
    sentences = []
    for finding in disease[:3]:
        phrase = pick(wordings(finding))
        if finding in study.uncertain:
            sentences.append(_sentence(pick(_HEDGED), _bare(phrase)))
        else:
            sentences.append(_sentence(pick(_IMPRESSION), phrase))
    return sentences


def _bare(phrase: str) -> str:
    return phrase.removeprefix("a ").removeprefix("an ")


def _sentence(template: str, phrase: str) -> str:
    text = template.format(phrase)
    return text[0].upper() + text[1:]
