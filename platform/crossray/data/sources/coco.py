"""MS COCO 2014 in its official layout: JSON files of captions and instances, two image folders."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, Literal

from crossray.core.errors import CrossRayError
from crossray.data.schema import Box
from crossray.data.sources.drawing import retrieval_split
from crossray.data.sources.karpathy import ARCHIVE, read_karpathy
from crossray.data.sources.layout import (
    Layout,
    Row,
    broken,
    counted,
    is_broken,
    json_list,
    listed,
    read_json,
)
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.splits import Split

PARTS: dict[str, Split] = {"train2014": "train", "val2014": "val"}
SPLIT = "dataset_coco.json"
IMAGES = 123_287
QUERIES, TRAINING = 5_000, 10_000
FOLD = 1_000
MMACH_IMAGES = 122_218
_LICENCE = "annotations CC BY 4.0; images under Flickr users' own terms"
_REMEDY = (
    "give the folder with annotations/, train2014/ and val2014/ of "
    f"https://cocodataset.org/#download, and for --split karpathy {SPLIT} of {ARCHIVE}"
)


@dataclass(frozen=True)
class CocoSource(FolderSource):
    """Images with their captions (five or more each), categories and boxes, by number.

    Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014. Labels are the names of the
    80 categories; the boxes of crowds are left out, their categories stay.

    Attributes:
        folder: what holds the annotations, the image folders and the split.
        split: `official` is train2014 and val2014, without a test set; `karpathy` takes
            dataset_coco.json (113,287 / 5,000 / 5,000), whose test images, a thousand after a
            thousand, are the five folds of published figures (`fold` in `meta`); `mmach` drops
            images without an instance and draws 5,000 queries (test) and 10,000 training images
            (train) by a fixed seed, the rest of the retrieval set is val.
        captions: how many captions of an image to keep at most; recall at K is published with 5.
    """

    name: ClassVar[str] = "coco"

    split: Literal["official", "karpathy", "mmach"] = "official"
    captions: int | None = None

    def plan(self) -> Plan:
        """Read the annotations."""
        if self.captions is not None and self.captions < 1:
            raise CrossRayError(f"--captions {self.captions} keeps none; give 1 or more.")
        layout = Layout(self.folder, _REMEDY)
        rows = [row for part in PARTS for row in self._part(layout, part)]
        notes = counted(len(rows), IMAGES, "images")
        if self.split == "karpathy":
            listing, rest = read_karpathy(layout.find(SPLIT))
            chosen = {image.name: image.split for image in listing}
            tested = [image.name for image in listing if image.split == "test"]
            fold = {name: {"fold": str(at // FOLD)} for at, name in enumerate(tested)}
            faulty, sound = _parted(rows)
            known = [row for row in sound if _file(row) in chosen]
            if len(known) < len(sound):
                notes.append(
                    f"{len(sound) - len(known)} images are not in {SPLIT} and were left out"
                )
            rows = [
                *({**row, "split": chosen[_file(row)], "meta": fold.get(_file(row), {})}
                  for row in known),
                *faulty,
                *rest,
            ]  # fmt: skip
        elif self.split == "mmach":
            faulty, sound = _parted(rows)
            labelled = [row for row in sound if row["labels"]]
            notes.append(f"{len(sound) - len(labelled)} images have no instance and were left out")
            notes += counted(len(labelled), MMACH_IMAGES, "images with an instance")
            drawn = retrieval_split((row["item_id"] for row in labelled), QUERIES, TRAINING)
            rows = [{**row, "split": drawn[row["item_id"]]} for row in labelled] + faulty
        images = layout.find(next(iter(PARTS))).parent
        for part in PARTS:
            layout.find(part)
        return listed(rows, images, _LICENCE, notes)

    def _part(self, layout: Layout, part: str) -> list[Row]:
        """The rows of train2014 or val2014, by image number."""
        captions_file, instances_file = (
            layout.find(f"annotations/{kind}_{part}.json", f"{kind}_{part}.json")
            for kind in ("captions", "instances")
        )
        faults = Faults()
        file = AnnotationFile(captions_file, faults)
        images = _images(file, faults)
        captions = _captions(file, images, faults)
        labels, boxes = _instances(AnnotationFile(instances_file, faults), images, faults)
        rows: list[Row] = []
        for number, image in sorted(images.items()):
            row: Row = {
                "item_id": Path(image["file_name"]).stem,
                "image": f"{part}/{image['file_name']}",
                "split": PARTS[part],
                "texts": captions.get(number, [])[: self.captions] or [""],
                "labels": sorted(labels.get(number, ())),
                "boxes": boxes.get(number, []),
            }
            detail = faults.of_images.get(number)
            rows.append(row if detail is None else broken(row["item_id"], "malformed row", detail))
        return rows + faults.rows


@dataclass
class Faults:
    """What is wrong with single entries: by the image that they belong to, or as rows."""

    of_images: dict[int, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    strays: set[str] = field(default_factory=set)

    def add(self, number: int | None, where: str, detail: str) -> None:
        """An entry of image `number`, or of none."""
        if number is None:
            self.rows.append(broken(where, "malformed row", detail))
        else:
            self.of_images.setdefault(number, f"{where}: {detail}")

    def stray(self, number: object, where: str) -> None:
        """An entry of an image that is not there; all entries of one image are one row."""
        detail = f"there is no image {number!r:.40}"
        if detail not in self.strays:
            self.strays.add(detail)
            self.add(None, where, detail)


def _parted(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that are broken, and the others."""
    return [row for row in rows if is_broken(row)], [row for row in rows if not is_broken(row)]


def _file(row: Row) -> str:
    return Path(row["image"]).name


class AnnotationFile:
    """The entries of a JSON file of annotations; what is wrong with one goes to `faults`."""

    def __init__(self, path: Path, faults: Faults) -> None:
        self._path, self._content, self._faults = path, read_json(path), faults

    def entries(self, name: str, *fields: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The objects of the list `name`, each with where it stands.

        Raises `CrossRayError` where none has the `fields`.
        """
        entries = json_list(self._content, name, set(fields))
        if entries is None:
            raise CrossRayError(
                f"{self._path} is not an annotation file of MS COCO 2014; {_REMEDY}."
            )
        for at, entry in enumerate(entries):
            where = f"{self._path.name} {name}[{at}]"
            if isinstance(entry, dict):
                yield where, entry
            else:
                self._faults.add(None, where, f"{entry!r:.60} is no object")


def _images(file: AnnotationFile, faults: Faults) -> dict[int, dict[str, Any]]:
    """Images by number."""
    images: dict[int, dict[str, Any]] = {}
    for where, image in file.entries("images", "id", "file_name"):
        number, name = image.get("id"), image.get("file_name")
        if not (_is_number(number) and isinstance(name, str)):
            faults.add(None, where, f"{number!r:.40} and {name!r:.60} are no number and file name")
        elif number in images:
            detail = f"two images have the number {number}"
            faults.add(None, where, detail)
            faults.add(number, where, detail)
        else:
            images[number] = image
    return images


def _captions(file: AnnotationFile, images: Container[Any], faults: Faults) -> dict[int, list[Any]]:
    """Captions by image number and in the order of their own numbers."""
    captions: dict[int, list[tuple[int, Any]]] = defaultdict(list)
    for where, note in file.entries("annotations", "id", "image_id", "caption"):
        number = _owner(note, images)
        if number is None:
            faults.stray(note.get("image_id"), where)
        elif not _is_number(note.get("id")):
            faults.add(number, where, f"{note.get('id')!r:.40} is no number of a caption")
        else:
            captions[number].append((note["id"], note.get("caption")))
    return {
        number: [caption for _, caption in sorted(own, key=itemgetter(0))]
        for number, own in captions.items()
    }


def _instances(
    file: AnnotationFile, images: dict[int, dict[str, Any]], faults: Faults
) -> tuple[dict[int, set[str]], dict[int, list[Box]]]:
    """Names of the categories, and boxes, by image number."""
    labels: dict[int, set[str]] = defaultdict(set)
    boxes: dict[int, list[Box]] = defaultdict(list)
    names = {
        category["id"]: category["name"]
        for _, category in file.entries("categories", "id", "name")
        if _is_number(category.get("id")) and isinstance(category.get("name"), str)
    }
    notes = file.entries("annotations", "image_id", "category_id", "iscrowd", "bbox")
    for where, note in notes:
        number, category = _owner(note, images), note.get("category_id")
        if number is None:
            faults.stray(note.get("image_id"), where)
        elif not (_is_number(category) and category in names):
            faults.add(number, where, f"there is no category {category!r:.40} with a name")
        elif note.get("iscrowd") not in (0, 1):
            faults.add(number, where, f"iscrowd is {note.get('iscrowd')!r:.40}, not 0 or 1")
        else:
            labels[number].add(names[category])
            if not note["iscrowd"]:
                try:
                    boxes[number].append(_box(names[category], note["bbox"], images[number]))
                except (ArithmeticError, LookupError, TypeError, ValueError):
                    size = [images[number].get(side) for side in ("width", "height")]
                    detail = f"{note.get('bbox')!r:.60} is no box on an image of {size!r:.60}"
                    faults.add(number, where, detail)
    return labels, boxes


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _owner(note: dict[str, Any], images: Container[Any]) -> int | None:
    """The number of a note's image, None where there is no such image."""
    number = note.get("image_id")
    return number if _is_number(number) and number in images else None


def _box(label: str, corner_and_size: list[float], image: dict[str, Any]) -> Box:
    """The box in fractions of the image; annotations reach a fraction of a pixel beyond it.

    Raises what arithmetic on values of another type does, and `ValueError` for a box that is none.
    """
    x, y, width, height = map(_finite, corner_and_size)
    columns, rows = _finite(image["width"]), _finite(image["height"])
    if min(columns, rows) <= 0 or min(width, height) < 0:
        raise ValueError
    return Box(
        label=label,
        x0=max(0.0, x / columns),
        y0=max(0.0, y / rows),
        x1=min(1.0, (x + width) / columns),
        y1=min(1.0, (y + height) / rows),
    )


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)
