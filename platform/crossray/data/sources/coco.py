"""MS COCO 2014 in its official layout: JSON files of captions and instances, two image folders."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from crossray.core.errors import CrossRayError
from crossray.data.sources.coco_annotations import read_part
from crossray.data.sources.drawing import retrieval_split
from crossray.data.sources.karpathy import ARCHIVE, read_karpathy
from crossray.data.sources.layout import Layout, Row, counted, is_broken, listed
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import Split

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
        return [
            row
            if is_broken(row)
            else {
                **row,
                "image": f"{part}/{row['image']}",
                "split": PARTS[part],
                "texts": row["texts"][: self.captions],
            }
            for row in read_part(captions_file, instances_file, _REMEDY)
        ]


def _parted(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that are broken, and the others."""
    return [row for row in rows if is_broken(row)], [row for row in rows if not is_broken(row)]


def _file(row: Row) -> str:
    return Path(row["image"]).name
