"""The fourteen labels of the CheXpert labeler as CheXpert and MIMIC-CXR-JPG write them."""

from __future__ import annotations

from collections.abc import Mapping

LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum",
    "Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other",
    "Pneumonia", "Pneumothorax", "Support Devices",
)  # fmt: skip
SEPARATOR = "|"
_POSITIVE, _UNCERTAIN, _OTHER = ("1.0", "1"), ("-1.0", "-1"), ("0.0", "0", "")


def label_fault(cells: Mapping[str, str]) -> str | None:
    """What is wrong with the first cell that `read_labels` does not know."""
    for label in LABELS:
        if cells[label] not in (*_POSITIVE, *_UNCERTAIN, *_OTHER):
            return f"{label} is {cells[label]!r:.40}, not 1.0, 0.0, -1.0 or blank"
    return None


def read_labels(cells: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The positive labels, and the uncertain ones for `meta` under `uncertain`.

    Cells are 1.0 (positive), 0.0 (negative), -1.0 (uncertain) or blank (not mentioned).
    """
    positive = [label for label in LABELS if cells[label] in _POSITIVE]
    uncertain = [label for label in LABELS if cells[label] in _UNCERTAIN]
    return positive, {"uncertain": SEPARATOR.join(uncertain)} if uncertain else {}
