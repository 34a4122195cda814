"""Flickr30k in its official layout: a token file and a folder of photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from crossray.data.sources.flickr8k import read_captions
from crossray.data.sources.karpathy import ARCHIVE, read_karpathy
from crossray.data.sources.layout import Layout, Row, counted, listed
from crossray.data.sources.source import FolderSource, Plan

TOKENS = "results_20130124.token"
SPLIT = "dataset_flickr30k.json"
IMAGES = ("flickr30k-images", "flickr30k_images")
PHOTOS = {"karpathy": 31_014, "drawn": 31_783}
_LICENCE = "Flickr users' own terms; research and education only"
_REMEDY = (
    f"give the folder with {TOKENS} and {IMAGES[0]}/, handed out on request at "
    f"https://shannon.cs.illinois.edu/DenotationGraph, and for --split karpathy {SPLIT} of "
    f"{ARCHIVE}"
)


@dataclass(frozen=True)
class Flickr30kSource(FolderSource):
    """Photos with all their captions (five each).

    Young, Lai, Hodosh, Hockenmaier: From Image Descriptions to Visual Denotations, TACL 2 (2014).

    Attributes:
        folder: what holds the token file, the split and the folder of photos.
        split: `karpathy` takes split and captions from dataset_flickr30k.json (29,000 / 1,014 /
            1,000 photos); `drawn` takes the captions of the token file and draws the split.
    """

    name: ClassVar[str] = "flickr30k"

    split: Literal["karpathy", "drawn"] = "karpathy"

    def plan(self) -> Plan:
        """Read the captions."""
        layout = Layout(self.folder, _REMEDY)
        if self.split == "karpathy":
            photos, rest = read_karpathy(layout.find(SPLIT))
            rows = [_row(photo.name, photo.captions, photo.split) for photo in photos]
        else:
            captions, rest = read_captions(layout.find(TOKENS))
            rows = [_row(name, texts) for name, texts in captions.items()]
        notes = counted(len(rows), PHOTOS[self.split], "photos")
        return listed(rows + rest, layout.find(*IMAGES), _LICENCE, notes)


def _row(name: str, captions: Sequence[Any], split: str | None = None) -> Row:
    return {"item_id": name, "image": name, "split": split, "texts": captions or [""]}
