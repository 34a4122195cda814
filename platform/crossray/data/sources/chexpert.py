"""CheXpert: two tables and a tree of films, without reports.

MIMIC-CXR-JPG has its labels in the same form.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crossray.data.sources.layout import Cells, Layout, Row, broken, listed, numeric, table
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import Split

LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum",
    "Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other",
    "Pneumonia", "Pneumothorax", "Support Devices",
)  # fmt: skip
SEPARATOR = "|"
_POSITIVE, _UNCERTAIN, _OTHER = ("1.0", "1"), ("-1.0", "-1"), ("0.0", "0", "")


TABLES: dict[str, Split] = {"train.csv": "train", "valid.csv": "val"}
_META = {"Frontal/Lateral": "view", "AP/PA": "projection", "Sex": "sex", "Age": "age"}
_FILM = re.compile(r"(?:.*/)?(?P<split>\w+)/(?P<patient>patient\d+)/(?P<study>study\d+)/[^/]+")
_LICENCE = "Stanford University Dataset Research Use Agreement; no redistribution"
_REMEDY = (
    "give the unpacked folder CheXpert-v1.0 or CheXpert-v1.0-small of "
    "https://stanfordmlgroup.github.io/competitions/chexpert (registration)"
)


@dataclass(frozen=True)
class ChexpertSource(FolderSource):
    """Chest films with fourteen labels; films of a study share `study_id`, a patient is a group.

    Irvin et al.: CheXpert, AAAI 2019. Labels are positive labels; uncertain ones are in `meta`.
    The official validation set is val; its test set has no public reports or labels.

    Attributes:
        folder: what holds train.csv, valid.csv and the folders train and valid.
    """

    name: ClassVar[str] = "chexpert"

    def plan(self) -> Plan:
        """Read both tables."""
        layout = Layout(self.folder, _REMEDY)
        tables = {layout.find(name): split for name, split in TABLES.items()}
        rows: list[Row] = []
        for path, split in tables.items():
            cells = list(table(path, ("Path", *_META, *LABELS)))
            rows += (
                _row(row, split) for row in sorted(cells, key=lambda row: numeric(row["Path"]))
            )
        return listed(rows, next(iter(tables)).parent, _LICENCE)


def _row(cells: Cells, split: Split) -> Row:
    """The pair of a table's row, whose path begins with the name of the unpacked folder."""
    path = cells["Path"]
    film = _FILM.fullmatch(path)
    if film is None:
        return broken(path, "malformed row", "the path is not .../patient/study/view.jpg")
    if (fault := cells.fault or label_fault(cells)) is not None:
        return broken(path, "malformed row", fault)
    labels, uncertain = read_labels(cells)
    study = f"{film['patient']}/{film['study']}"
    name = f"{film['split']}/{study}/{Path(path).name}"
    return {
        "item_id": name,
        "group_id": film["patient"],
        "split": split,
        "image": name,
        "labels": labels,
        "meta": {
            "study_id": study,
            **uncertain,
            **{name: cells[column] for column, name in _META.items() if cells[column]},
        },
    }


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
