"""NUS-WIDE in its official layout: lists of images, ground truth and tags, line by line."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from tyro.conf import arg

from crossray.core.errors import CrossRayError
from crossray.data.sources.drawing import retrieval_split, shuffled
from crossray.data.sources.layout import Layout, Row, counted, lines, listed, read_text
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import Split

IMAGES = 269_648
CONCEPTS, QUERIES, TRAINING = 21, 2_100, 10_500
TEN = ("animal", "clouds", "flowers", "food", "grass", "person", "sky", "toy", "water", "window")
EACH = {"train": 800, "val": 100, "test": 100}
_LICENCE = "research use; images under Flickr users' own terms"
_REMEDY = (
    "give the folder with ImageList/, ConceptsList/, Groundtruth/ and NUS_WID_Tags/ of "
    "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html"
)


@dataclass(frozen=True)
class NusWideSource(FolderSource):
    """Photos in the order of the list; their tags among the 1,000 frequent ones are the text.

    Chua et al.: NUS-WIDE, CIVR 2009. Labels are concepts; the rows of a photo that is listed
    twice are a group.

    Attributes:
        folder: what holds the lists, the ground truth and the tags.
        images: the folder that the paths of the image list start from.
        split: `official` has train and test, 81 concepts; `mmach` keeps the images with a tag and
            one of the 21 most frequent concepts and draws 2,100 queries (test) and 10,500
            training images (train), the rest of the retrieval set is val; `10k` draws, of each of
            ten concepts, 1,000 images that have no other of the ten (800 / 100 / 100). The last
            two draw by a fixed seed, for their lists were not published.
    """

    name: ClassVar[str] = "nus-wide"

    images: Annotated[str, arg(metavar="IMAGES")]
    split: Literal["official", "mmach", "10k"] = "official"

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder", "images")

    def plan(self) -> Plan:
        """Read lists, ground truth and tags."""
        if not Path(self.images).is_dir():
            raise CrossRayError(f"there is no folder of images {self.images}; check the path.")
        layout = Layout(self.folder, _REMEDY)
        names = _names(layout.find("ImageList/Imagelist.txt", "ImageList/ImageList.txt"))
        faults: dict[int, str] = {}
        labels = _labels(layout, len(names), faults)
        tags = _tags(layout, len(names), faults)
        rows: list[Row] = [
            {
                "item_id": name.removesuffix(".jpg"),
                "group_id": PurePosixPath(name).stem.rpartition("_")[2],
                "image": name,
                "labels": labels[at],
                "texts": [text] if text else [],
            }
            for at, (name, text) in enumerate(zip(names, tags, strict=True))
        ]
        for at, detail in faults.items():
            rows[at]["rejected"] = ["malformed row", detail]
        notes = counted(len(rows), IMAGES, "images")
        if self.split == "official":
            rows, unlisted = _official(layout, rows)
            if unlisted:
                notes.append(f"{unlisted} images are in neither official list and were left out")
        elif self.split == "mmach":
            rows = _frequent(rows)
            notes.append(f"{len(rows):,} images qualify; 190,421 are published")
        else:
            rows = _ten(rows)
        return listed(rows, Path(self.images).resolve(), _LICENCE, notes)


def _names(path: Path) -> list[str]:
    """Image paths with slashes; some copies of the list have backslashes."""
    return [line.replace("\\", "/") for line in _aligned(path)]


def _aligned(path: Path) -> list[str]:
    """The lines of a file, stripped: line n is about image n, so blank ones between count."""
    return [line.strip() for line in read_text(path).rstrip().split("\n")]


def _labels(layout: Layout, images: int, faults: dict[int, str]) -> list[list[str]]:
    """The concepts of every image; what is wrong with an image's line goes to `faults`."""
    labels: list[list[str]] = [[] for _ in range(images)]
    for concept in lines(layout.find("ConceptsList/Concepts81.txt")):
        path = layout.find(f"Groundtruth/AllLabels/Labels_{concept}.txt")
        marks = _aligned(path)
        _check(path, len(marks), images)
        for at, mark in enumerate(marks):
            if mark == "1":
                labels[at].append(concept)
            elif mark != "0":
                faults[at] = f"line {at + 1} of {path.name} is {mark!r:.40}, not 0 or 1"
    return labels


def _tags(layout: Layout, images: int, faults: dict[int, str]) -> list[str]:
    """The tags of every image, joined; what is wrong with an image's line goes to `faults`.

    The table is half a gigabyte and read line by line.
    """
    vocabulary = lines(layout.find("NUS_WID_Tags/TagList1k.txt"))
    path = layout.find("NUS_WID_Tags/AllTags1k.txt")
    texts: list[str] = []
    last = 0  # the file may end in blank lines
    with path.open(encoding="ascii", errors="replace") as stream:
        for at, line in enumerate(stream):
            marks, tags = line.split(), []
            last = at + 1 if marks else last
            if len(marks) == len(vocabulary) and {"0", "1"}.issuperset(marks):
                tags = [tag for tag, mark in zip(vocabulary, marks, strict=True) if mark == "1"]
            else:
                known = f"{len(vocabulary)} marks of 0 or 1"
                faults[at] = f"line {at + 1} of {path.name} has not {known}"
            texts.append(" ".join(tags))
    _check(path, last, images)
    return texts[:last]


def _check(path: Path, found: int, images: int) -> None:
    if found != images:
        raise CrossRayError(
            f"{path} has {found:,} lines for the {images:,} images of the list; "
            "use the files as distributed."
        )


def _official(layout: Layout, rows: list[Row]) -> tuple[list[Row], int]:
    splits: dict[str, Split] = {}
    parts: dict[str, Split] = {"Train": "train", "Test": "test"}
    for name, split in parts.items():
        listing = layout.find(f"ImageList/{name}Imagelist.txt", f"ImageList/{name}ImageList.txt")
        splits.update((image, split) for image in _names(listing))
    kept = [{**row, "split": splits[row["image"]]} for row in rows if row["image"] in splits]
    return kept, len(rows) - len(kept)


def _frequent(rows: list[Row]) -> list[Row]:
    """The rows with text and one of the most frequent concepts, of which they keep the labels."""
    counts = Counter(label for row in rows for label in row["labels"])
    frequent = set(sorted(counts, key=lambda label: (-counts[label], label))[:CONCEPTS])
    kept = [row for row in rows if row["texts"] and frequent.intersection(row["labels"])]
    splits = retrieval_split((row["group_id"] for row in kept), QUERIES, TRAINING)
    return [
        {
            **row,
            "split": splits[row["group_id"]],
            "labels": [label for label in row["labels"] if label in frequent],
        }
        for row in kept
    ]


def _ten(rows: list[Row]) -> list[Row]:
    """The rows drawn for the ten classes, in the list's order."""
    classes: dict[str, dict[str, Row]] = {label: {} for label in TEN}
    listed_times = Counter(row["group_id"] for row in rows)
    for row in rows:
        named = [label for label in row["labels"] if label in classes]
        # A photo that is listed twice could be drawn for two classes, and so for two splits.
        if len(named) == 1 and listed_times[row["group_id"]] == 1:
            classes[named[0]][row["group_id"]] = {**row, "labels": named}
    chosen: dict[str, Row] = {}
    for label, photos in classes.items():
        order = shuffled(photos)
        if len(order) < sum(EACH.values()):
            raise CrossRayError(
                f"only {len(order):,} images have {label!r} and no other of the ten concepts, "
                f"{sum(EACH.values()):,} are needed; complete the copy or choose another --split."
            )
        splits = [split for split, count in EACH.items() for _ in range(count)]
        for group, split in zip(order, splits, strict=False):
            chosen[photos[group]["item_id"]] = {**photos[group], "split": split}
    return [chosen[row["item_id"]] for row in rows if row["item_id"] in chosen]
