"""The split of Karpathy and Fei-Fei (CVPR 2015): `dataset_flickr30k.json`, `dataset_coco.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossray.core.errors import CrossRayError
from crossray.data.sources.layout import read_json
from crossray.data.splits import Split, parse_split

ARCHIVE = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"


@dataclass(frozen=True)
class KarpathyImage:
    """One image of the file, its captions in the file's order."""

    name: str
    split: Split
    captions: list[str]


def read_karpathy(path: Path) -> list[KarpathyImage]:
    """The images in the file's order; `restval`, what is left of COCO's val2014, is train."""
    images = []
    try:
        for entry in read_json(path)["images"]:
            word = entry["split"]
            split = "train" if word == "restval" else parse_split(word)
            if split is None:
                raise CrossRayError(
                    f"{path} has the unknown split {word!r}; use the file of {ARCHIVE}."
                )
            captions = [sentence["raw"].strip() for sentence in entry["sentences"]]
            images.append(KarpathyImage(entry["filename"], split, captions))
    except (KeyError, TypeError, AttributeError):
        raise CrossRayError(
            f"{path} is not a split by Karpathy (images with filename, split and sentences); "
            f"use the file of {ARCHIVE}."
        ) from None
    return images
