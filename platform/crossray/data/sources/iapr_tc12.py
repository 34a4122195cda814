"""IAPR TC-12 in its official layout: photos, annotation files, and labels of regions."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from crossray.core.errors import CrossRayError
from crossray.data.sources import layout
from crossray.data.sources.drawing import retrieval_split
from crossray.data.sources.source import FolderSource, Plan

ANNOTATIONS = "annotations_complete_eng"
PHOTOS = 20_000
QUERIES, TRAINING = 2_000, 10_000
_FIELD = re.compile(r"<(TITLE|DESCRIPTION|NOTES|LOCATION|DATE|IMAGE)>(.*?)</\1>", re.DOTALL)
_META = ("TITLE", "LOCATION", "DATE")
_TEXTS = {"description": ("DESCRIPTION",), "all": ("TITLE", "DESCRIPTION", "NOTES")}
_LICENCE = "free of charge and without copyright restriction, as the distributor states"
_REMEDY = f"give the folder with images/ and {ANNOTATIONS}/ of https://www.imageclef.org/photodata"
_REGIONS = (
    "give the folder saiapr_tc-12 of the segmented set, which "
    "https://www.imageclef.org/SIAPRdata hands out, as --regions"
)


@dataclass(frozen=True)
class IaprTc12Source(FolderSource):
    """Photos with their English description, by number.

    Grubinger et al.: The IAPR TC-12 Benchmark, LREC 2006. Annotations are Latin-1.

    Attributes:
        folder: what holds the photos and the annotations.
        regions: the folder saiapr_tc-12 of the segmented set; the labels of a photo's regions are
            its labels, by their number in that set's word list, as in `label-12`.
        split: `drawn` takes all photos; `mmach` needs --regions, keeps the photos with a label
            and draws 2,000 queries (test) and 10,000 training photos (train) by a fixed seed, the
            rest of the retrieval set is val.
        text: `description` alone, or `all`: title, description and notes, of which the first and
            the last often name the place.
    """

    name: ClassVar[str] = "iapr-tc12"

    regions: str | None = None
    split: Literal["drawn", "mmach"] = "drawn"
    text: Literal["description", "all"] = "description"

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder", "regions")

    def plan(self) -> Plan:
        """Read all annotations."""
        tree = layout.Layout(self.folder, _REMEDY)
        folder = tree.find(ANNOTATIONS)
        tree.find("images")
        files = sorted(folder.glob("*/*.eng"), key=lambda path: layout.numeric(path.name))
        if not files:
            raise CrossRayError(f"{folder} has no annotation such as 00/25.eng; {_REMEDY}.")
        labels, rest = ({}, []) if self.regions is None else _labels(Path(self.regions))
        parts = _TEXTS[self.text]
        rows = [_row(path, labels.get(path.stem, []), parts) for path in files]
        notes = layout.counted(len(rows), PHOTOS, "photos")
        notes += layout.unmatched(labels, (path.stem for path in files), "photos with labels")
        if self.split == "mmach":
            if self.regions is None:
                raise CrossRayError(f"--split mmach needs labels; {_REGIONS}.")
            rows = [row for row in rows if row.get("labels") or layout.is_broken(row)]
            notes.append(f"{len(rows):,} photos have a label; 19,999 are published")
            splits = retrieval_split((row["item_id"] for row in rows), QUERIES, TRAINING)
            rows = [{**row, "split": splits[row["item_id"]]} for row in rows]
        return layout.listed(rows + rest, folder.parent, _LICENCE, notes)


def _row(path: Path, labels: list[str], parts: tuple[str, ...]) -> layout.Row:
    """The pair of an annotation: tags in capitals, but not XML: ampersands are not escaped."""
    name = f"{path.parent.name}/{path.stem}"
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        return layout.broken(
            name, "malformed row", f"the annotation cannot be read: {error.strerror}"
        )
    fields = {field[1]: " ".join(field[2].split()) for field in _FIELD.finditer(text)}
    if not fields.get("IMAGE"):
        return layout.broken(name, "malformed row", "the annotation names no image")
    if not fields.get("DESCRIPTION"):
        return layout.broken(name, "missing text", "the description is blank")
    return {
        "item_id": name,
        "image": fields["IMAGE"],
        "texts": [" ".join(fields[part] for part in parts if fields.get(part))],
        "labels": labels,
        "meta": {field.lower(): fields[field] for field in _META if fields.get(field)},
    }


def _labels(regions: Path) -> tuple[dict[str, list[str]], list[layout.Row]]:
    """Labels by photo, from the rows `photo region label` of every folder's labels.txt.

    And the lines that are no such row.
    """
    files = sorted(regions.glob("*/labels.txt"))
    if not files:
        raise CrossRayError(f"{regions} has no 00/labels.txt; {_REGIONS}.")
    numbers: dict[str, set[int]] = {}
    rest: list[layout.Row] = []
    for path in files:
        for count, line in enumerate(layout.lines(path), start=1):
            cells = line.split()
            label = layout.integer(cells[-1])
            if len(cells) != 3 or label is None or None in map(layout.integer, cells):
                where = f"{path.parent.name}/{path.name} line {count}"
                detail = f"{line[:40]!r} is not three numbers (photo, region, label)"
                rest.append(layout.broken(where, "malformed row", detail))
                continue
            numbers.setdefault(cells[0], set()).add(label)
    labels = {
        photo: [f"label-{label}" for label in sorted(found)] for photo, found in numbers.items()
    }
    return labels, rest
