"""The annotation files of MS COCO 2014: one wrong entry costs its image, or itself."""

import math
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeGuard

from crossray.core.errors import CrossRayError
from crossray.data.schema import Box
from crossray.data.sources.layout import Row, broken, json_list, read_json


def read_part(captions_file: Path, instances_file: Path, remedy: str) -> list[Row]:
    """The images by number, each with all its captions, categories and boxes.

    Images with a wrong entry, and entries that belong to none, are broken rows. Raises
    `CrossRayError`, which ends in `remedy`, for a file of another kind.
    """
    faults = Faults()
    file = AnnotationFile(captions_file, faults, remedy)
    images = _images(file, faults)
    captions = _captions(file, images, faults)
    file = AnnotationFile(instances_file, faults, remedy)
    labels, boxes = _instances(file, images, faults)
    rows: list[Row] = []
    for number, image in sorted(images.items()):
        name = Path(image["file_name"]).stem
        if number in faults.of_images:
            rows.append(broken(name, "malformed row", faults.of_images[number]))
            continue
        rows.append(
            {
                "item_id": name,
                "image": image["file_name"],
                "texts": captions.get(number) or [""],
                "labels": sorted(labels.get(number, ())),
                "boxes": boxes.get(number, []),
            }
        )
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


class AnnotationFile:
    """The entries of a JSON file of annotations; what is wrong with one goes to `faults`."""

    def __init__(self, path: Path, faults: Faults, remedy: str) -> None:
        self._path, self._content = path, read_json(path)
        self._faults, self._remedy = faults, remedy

    def entries(self, name: str, *fields: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The objects of the list `name`, each with its place.

        Raises `CrossRayError` where none has the `fields`.
        """
        entries = json_list(self._content, name, set(fields))
        if entries is None:
            raise CrossRayError(
                f"{self._path} is not an annotation file of MS COCO 2014; {self._remedy}."
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
        if not _is_number(number) or not isinstance(name, str):
            faults.add(None, where, f"{number!r:.40} and {name!r:.60} are no number and file name")
        elif number in images:
            detail = f"two images have the number {number}"
            faults.add(None, where, detail)
            faults.add(number, where, detail)
        else:
            images[number] = image
    return images


def _captions(file: AnnotationFile, images: Container[Any], faults: Faults) -> dict[int, list[Any]]:
    """Captions by image number in the order of their numbers."""
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
        number: [caption for _, caption in sorted(numbered, key=itemgetter(0))]
        for number, numbered in captions.items()
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


def _is_number(value: Any) -> TypeGuard[int]:
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
