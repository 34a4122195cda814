"""The split of Karpathy and Fei-Fei (CVPR 2015): `dataset_flickr30k.json`, `dataset_coco.json`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossray.core.errors import CrossRayError
from crossray.data.rejection import Rejected
from crossray.data.sources.layout import Row, broken, json_list, read_json
from crossray.data.split import Split, parse_split

ARCHIVE = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"


@dataclass(frozen=True)
class KarpathyImage:
    """One image of the file, its captions in the file's order."""

    name: str
    split: Split
    captions: list[Any]


def read_karpathy(path: Path) -> tuple[list[KarpathyImage], list[Row]]:
    """The images in the file's order, and the entries that are none.

    `restval`, what is left of COCO's val2014, is train. Captions are what the file has in their
    place: a null, too.
    """
    images: list[KarpathyImage] = []
    rest: list[Row] = []
    for at, entry in enumerate(_entries(path)):
        try:
            images.append(_image(entry))
        except Rejected as error:
            rest.append(broken(f"{path.name} images[{at}]", error.reason, error.detail))
    return images, rest


def _entries(path: Path) -> list[Any]:
    entries = json_list(read_json(path), "images", {"filename", "split", "sentences"})
    if entries is None:
        raise CrossRayError(
            f"{path} is not a split by Karpathy (images with filename, split and sentences); "
            f"use the file of {ARCHIVE}."
        )
    return entries


def _image(entry: Any) -> KarpathyImage:
    if not isinstance(entry, dict):
        raise Rejected("malformed row", f"{entry!r:.60} is no image")
    name, word, sentences = (entry.get(field) for field in ("filename", "split", "sentences"))
    if not (isinstance(name, str) and isinstance(sentences, list)):
        raise Rejected("malformed row", f"{name!r:.60} is not a filename with a list of sentences")
    split = parse_split("train" if word == "restval" else str(word))
    if split is None:
        raise Rejected("unknown split", f"{word!r:.60} of {name!r:.60}")
    if not all(isinstance(sentence, dict) for sentence in sentences):
        raise Rejected("malformed row", f"a sentence of {name!r:.60} is no object")
    return KarpathyImage(name, split, [sentence.get("raw") for sentence in sentences])
