"""MIRFLICKR-25K in its official layout: photos with tags, and a folder of annotations."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from crossray.data.rejection import Rejected
from crossray.data.sources import layout
from crossray.data.sources.drawing import retrieval_split, shuffled
from crossray.data.sources.source import FolderSource, Plan

ANNOTATIONS = ("mirflickr25k_annotations_v080", "annotations")
LABELS = (
    "animals", "baby", "bird", "car", "clouds", "dog", "female", "flower", "food", "indoor",
    "lake", "male", "night", "people", "plant_life", "portrait", "river", "sea", "sky",
    "structures", "sunset", "transport", "tree", "water",
)  # fmt: skip
PHOTOS = 25_000
QUERIES, TRAINING = 2_000, 10_000
CMFG_TRAINING = 15_000
_LICENCE = "Creative Commons licences of the single photos, see mirflickr/meta/license"
_REMEDY = (
    f"give the folder with mirflickr/ and {ANNOTATIONS[0]}/, two archives of "
    "http://press.liacs.nl/mirflickr/mirdownload.html"
)


@dataclass(frozen=True)
class MirflickrSource(FolderSource):
    """Photos with their tags, joined to one text, and 24 labels, by number.

    Huiskes, Lew: The MIR Flickr Retrieval Evaluation, MIR 2008. Labels are the potential ones,
    not the stricter `_r1` subsets. Photos without a tag are items without a text.

    Attributes:
        folder: what holds the photos' and the annotations' folder.
        split: `drawn` takes all photos and draws the split; `mmach` keeps the photos with a label
            and one of the common tags, takes common tags alone as text and draws 2,000 queries
            (test) and 10,000 training photos (train), the rest of the retrieval set is val; `cmfg`
            draws 15,000 training photos and tests on the rest. The last two draw by a fixed seed.
    """

    name: ClassVar[str] = "mirflickr"

    split: Literal["drawn", "mmach", "cmfg"] = "drawn"

    def plan(self) -> Plan:
        """Read annotations and tags."""
        tree = layout.Layout(self.folder, _REMEDY)
        tags = tree.find("meta/tags")
        photos = tags.parent.parent
        labels, rest = _labels(tree)
        found = {path.stem.removeprefix("im") for path in photos.glob("im*.jpg")}
        found |= {path.stem.removeprefix("tags") for path in tags.glob("tags*.txt")}
        names = sorted(found, key=layout.numeric)
        rows = [_row(tags, number, labels.get(layout.integer(number), [])) for number in names]
        notes = layout.counted(len(rows), PHOTOS, "photos")
        notes += layout.unmatched(labels, map(layout.integer, names), "numbers with labels")
        if self.split == "mmach":
            common = {
                line.rsplit(None, 1)[0] for line in layout.lines(tree.find("doc/common_tags.txt"))
            }
            rows = _with_common_tags(rows, common)
            notes.append(
                f"{len(rows):,} photos have a label and a common tag; 20,015 are published"
            )
            drawn = retrieval_split((row["item_id"] for row in rows), QUERIES, TRAINING)
            rows = [{**row, "split": drawn[row["item_id"]]} for row in rows]
        elif self.split == "cmfg":
            training = set(shuffled(row["item_id"] for row in rows)[:CMFG_TRAINING])
            rows = [
                {**row, "split": "train" if row["item_id"] in training else "test"} for row in rows
            ]
        return layout.listed([_joined(row) for row in rows] + rest, photos, _LICENCE, notes)


def _labels(tree: layout.Layout) -> tuple[dict[int | None, list[str]], list[layout.Row]]:
    """Labels by number of the photo, and the lines that are no number."""
    folder = tree.find(*ANNOTATIONS)
    labels: dict[int | None, list[str]] = {}
    rest: list[layout.Row] = []
    for label in LABELS:
        path = layout.Layout(str(folder), _REMEDY).find(f"{label}.txt")
        for count, line in enumerate(layout.lines(path), start=1):
            number = layout.integer(line)
            if number is None:
                detail = f"{line[:40]!r} is no photo's number"
                rest.append(layout.broken(f"{path.name} line {count}", "malformed row", detail))
            else:
                labels.setdefault(number, []).append(label)
    return labels, rest


def _row(tags: Path, number: str, labels: list[str]) -> layout.Row:
    """The pair with its tags one by one."""
    name = f"im{number}"
    try:
        text = layout.text_file(tags, f"tags{number}.txt")
    except Rejected as error:
        return layout.broken(name, error.reason, error.detail)
    # Not `splitlines`: it also breaks at characters that tags may contain.
    words = [line.strip() for line in text.split("\n") if line.strip()]
    return {"item_id": name, "image": f"{name}.jpg", "labels": labels, "tags": words}


def _with_common_tags(rows: list[layout.Row], common: set[str]) -> list[layout.Row]:
    """The rows with labels, restricted to the common tags; rows that are broken stay."""
    kept = []
    for row in rows:
        tags = [tag for tag in row.get("tags", ()) if tag in common]
        if layout.is_broken(row):
            kept.append(row)
        elif row["labels"] and tags:
            kept.append({**row, "tags": tags})
    return kept


def _joined(row: layout.Row) -> layout.Row:
    """The row with its tags as one text."""
    tags = row.pop("tags", [])
    return {**row, "texts": [" ".join(tags)] if tags else []}
