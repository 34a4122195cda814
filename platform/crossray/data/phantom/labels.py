"""The label hierarchy: the 14 CheXpert findings and their qualified forms ``finding/qualifier``.

Findings after Irvin et al. 2019 (CheXpert), Table 1. As there, `No Finding` means that no finding
other than Support Devices is present, and Lung Opacity is the parent of the opacities.
"""

from collections.abc import Iterable

from crossray.data.phantom.study import ChestFinding

NO_FINDING = "No Finding"
LUNG_OPACITY = "Lung Opacity"
SUPPORT_DEVICES = "Support Devices"
OPACITIES = ("Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis")
DEVICES = (
    "endotracheal tube",
    "feeding tube",
    "central line",
    "pacemaker",
    "ECG leads",
    "chest tube",
)

_SIDES = ("left", "right")
_ZONES = ("upper zone", "middle zone", "lower zone")
QUALIFIERS: dict[str, tuple[str, ...]] = {
    NO_FINDING: (),
    "Enlarged Cardiomediastinum": (),
    "Cardiomegaly": ("mild", "moderate", "severe"),
    LUNG_OPACITY: _SIDES,
    "Lung Lesion": (*_SIDES, *_ZONES),
    "Edema": ("mild", "severe"),
    "Consolidation": (*_SIDES, *_ZONES),
    "Pneumonia": (*_SIDES, *_ZONES),
    "Atelectasis": _SIDES,
    "Pneumothorax": (*_SIDES, "small", "large"),
    "Pleural Effusion": (*_SIDES, "small", "moderate", "large"),
    "Pleural Other": _SIDES,
    "Fracture": _SIDES,
    SUPPORT_DEVICES: DEVICES,
}
FINDINGS = tuple(QUALIFIERS)


def label_vocabulary() -> tuple[str, ...]:
    """All labels an item can carry, each finding before its qualified forms."""
    return tuple(
        label
        for finding, qualifiers in QUALIFIERS.items()
        for label in (finding, *(f"{finding}/{qualifier}" for qualifier in qualifiers))
    )


def study_labels(
    findings: Iterable[ChestFinding], uncertain: Iterable[ChestFinding] = ()
) -> list[str]:
    """Labels of a study in the order of the vocabulary.

    Args:
        findings: what the report states.
        uncertain: what the report hedges: it gives no label, but the study is not normal.
    """
    found: set[str] = set()
    for finding in findings:
        found |= _labels_of_one(finding)
    if all(f.name == SUPPORT_DEVICES for f in (*findings, *uncertain)):
        found.add(NO_FINDING)
    return [label for label in label_vocabulary() if label in found]


def _labels_of_one(finding: ChestFinding) -> set[str]:
    values = {finding.side, f"{finding.zone} zone", finding.severity, finding.kind}
    labels = {finding.name}
    labels |= {f"{finding.name}/{value}" for value in values & set(QUALIFIERS[finding.name])}
    if finding.name in OPACITIES:
        labels.add(LUNG_OPACITY)
        if finding.side:
            labels.add(f"{LUNG_OPACITY}/{finding.side}")
        elif finding.name == "Edema":
            labels |= {f"{LUNG_OPACITY}/{side}" for side in _SIDES}
    return labels
