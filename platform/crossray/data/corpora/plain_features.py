"""Features that need no weights: grey thumbnails, and bags of words hashed into buckets."""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.types import ImageBatch, TextBatch
from crossray.data.corpora.corpus import Corpus, paired_rows, require_items, study_key
from crossray.data.schema import iter_pairs, read_row_group, row_groups, text_entries
from crossray.data.split import Split
from crossray.data.transforms import small_square, to_rgb

SIDE = 32  # rows and columns of a thumbnail
BUCKETS = 1024  # that the words of a text are hashed into
PLAIN_FEATURES = f"grey thumbnails of {SIDE} x {SIDE} and bags of words in {BUCKETS:,} buckets"
_COLUMNS = ("item_id", "split", "image", "texts", "sections", "labels", "meta")
_WORD = re.compile(r"\w+")


def grey_thumbnail(data: bytes) -> NDArray[np.float32]:
    """An encoded image as `SIDE` x `SIDE` grey values of mean 0 and variance 1, laid out flat."""
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", (4 * SIDE, 4 * SIDE))  # a JPEG is decoded no larger than needed
        grey = to_rgb(ImageOps.exif_transpose(image)).convert("L")
    small = np.asarray(small_square(grey, SIDE, Image.Resampling.BOX), dtype=np.float32).ravel()
    values: NDArray[np.float32] = (small - small.mean()) / max(float(small.std()), 1.0)
    return values


def hashed_words(sentences: Iterable[str]) -> NDArray[np.int64]:
    """The bucket of every word of a text, lower case; the same on every machine."""
    words = _WORD.findall(" ".join(sentences).lower())
    return np.array([zlib.crc32(word.encode()) % BUCKETS for word in words], dtype=np.int64)


def bag(buckets: NDArray[np.int64]) -> NDArray[np.float32]:
    """log(1 + how often) of every bucket."""
    return np.log1p(np.bincount(buckets, minlength=BUCKETS)).astype(np.float32)


class PlainCorpus(Corpus):
    """Plain features of pairs, as maps of one cell and texts of one token."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self.item_ids, self.labels = [], []
        self._thumbnails: list[NDArray[np.float32]] = []
        self._texts: list[list[NDArray[np.int64]]] = []
        keys = []
        for row in (row for table in tables for row in table.to_pylist()):
            self.item_ids.append(row["item_id"])
            self.labels.append(row["labels"])
            keys.append(study_key(row["item_id"], row["meta"]))
            self._thumbnails.append(grey_thumbnail(row["image"]))
            entries = text_entries(row["texts"], row["sections"])
            self._texts.append([hashed_words(entry) for entry in entries])
        self.keys_N = torch.tensor(keys, dtype=torch.int64)

    def image(self, row: int, epoch: int | None = None) -> Tensor:
        """`grid_CYX`, one cell."""
        return torch.from_numpy(self._thumbnails[row])[:, None, None]

    def text_count(self, row: int) -> int:
        """See `Corpus.text_count`."""
        return len(self._texts[row])

    def text(self, row: int, number: int) -> Tensor:
        """`bag_W`."""
        return torch.from_numpy(bag(self._texts[row][number]))

    def collate_images(self, images: Sequence[Tensor]) -> ImageBatch:
        """See `Corpus.collate_images`."""
        return ImageBatch(grid_BCYX=torch.stack(list(images)))

    def collate_texts(self, texts: Sequence[Tensor]) -> TextBatch:
        """See `Corpus.collate_texts`."""
        mask_B1 = torch.ones(len(texts), 1, dtype=torch.bool)
        sentence_B1 = torch.zeros(len(texts), 1, dtype=torch.long)
        return TextBatch(mask_B1, sentence_B1, states_BTD=torch.stack(list(texts))[:, None])


def plain_split(pairs: Artifact, split: Split) -> PlainCorpus:
    """All items of a split, in the order of `PairCorpus`."""
    return PlainCorpus(paired_rows(table) for table in iter_pairs(pairs, _COLUMNS, split))


def plain_sample(pairs: Artifact, split: Split, items: int, seed: int = 0) -> PlainCorpus:
    """At most so many items of a split: row groups in random order, as far as they are needed.

    Raises `CrossRayError` for a split without an item.
    """
    corpus = PlainCorpus(_sampled(pairs, split, items, seed))
    require_items(len(corpus), pairs, split)
    return corpus


def _sampled(pairs: Artifact, split: Split, items: int, seed: int) -> Iterator[pa.Table]:
    units = row_groups(pairs)
    left = items
    for number in np.random.default_rng(seed).permutation(len(units)).tolist():
        table = paired_rows(read_row_group(pairs, units[number], _COLUMNS), split).slice(0, left)
        yield table
        left -= len(table)
        if left <= 0:
            return
