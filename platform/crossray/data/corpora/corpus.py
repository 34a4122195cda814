"""One split of a data set as methods read it: from pixels and words, or from cached features."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, TeacherOutputs, TextBatch
from crossray.data.corpora.memory_map import cached_table, map_table
from crossray.data.schema import PAIR_SCHEMA, iter_pairs, text_entries
from crossray.data.split import Split
from crossray.data.tokenization import Tokenizer

Pairing = Literal["paired", "unpaired", "all"]
_COLUMNS = ("item_id", "image", "texts", "sections", "labels", "meta")
_CORNERS = ("x0", "y0", "x1", "y1")


def study_key(item_id: str, meta: Sequence[tuple[str, str]]) -> int:
    """A 63-bit number, equal for items that show the same study (`meta["study_id"]`)."""
    study = dict(meta).get("study_id") or item_id
    return int.from_bytes(hashlib.blake2b(study.encode(), digest_size=8).digest()) >> 1


class Corpus(ABC):
    """The items of one split that have an image, addressed by row number.

    Those that have a text too, unless it was opened for others.
    """

    item_ids: list[str]
    keys_N: Tensor
    labels: list[list[str]]

    def __len__(self) -> int:
        return len(self.item_ids)

    @abstractmethod
    def image(self, row: int, epoch: int | None = None) -> Any:
        """The image of an item; with an epoch, as augmented in that epoch."""

    @abstractmethod
    def text_count(self, row: int) -> int:
        """How many texts describe the item, at least 1 where it is paired."""

    @abstractmethod
    def text(self, row: int, number: int) -> Any:
        """Text `number` of an item."""

    @abstractmethod
    def collate_images(self, images: Sequence[Any]) -> ImageBatch:
        """What `image` gave, as one batch."""

    @abstractmethod
    def collate_texts(self, texts: Sequence[Any]) -> TextBatch:
        """What `text` gave, as one batch."""

    def teacher_outputs(self, row: int, number: int) -> TeacherOutputs | None:
        """What a teacher makes of an item's image and its text `number`, if there is a teacher."""
        return None


class AnnotatedImage(NamedTuple):
    """An image with its boxes, x0, y0, x1, y1 in [0, 1] of what it shows, and its masks."""

    pixels_CYX: Tensor
    boxes_R4: Tensor | None
    masks_RYX: Tensor | None


BoxTransform = Callable[[Tensor, bytes, int | None, int], Tensor]
MaskTransform = Callable[[Sequence[bytes], int | None, int], Tensor]


class PairCorpus(Corpus):
    """A split of a `pairs` artifact, memory-mapped; images and texts are decoded on reading.

    With `boxes` images come with their boxes, which it turns into those of what an epoch shows
    (`visible_boxes`), and with `masks` with their masks (`visible_masks`). Raises `CrossRayError`
    where no item has any.
    """

    def __init__(
        self,
        pairs: Artifact,
        split: Split,
        tokenizer: Tokenizer,
        max_tokens: int,
        transform: Callable[[bytes], Tensor],
        augmented: Callable[[bytes, int, int], Tensor] | None = None,
        boxes: BoxTransform | None = None,
        pairing: Pairing = "paired",
        masks: MaskTransform | None = None,
    ) -> None:
        """`pairing`: whether items have a text, none, or either."""
        annotations = {"boxes": boxes, "masks": masks}
        added = [name for name, transform in annotations.items() if transform is not None]
        columns = (*_COLUMNS, *added)
        schema = pa.schema([PAIR_SCHEMA.field(name) for name in columns])
        key = "-".join([pairs.id, split, pairing, *added])
        self._table = cached_table(key, schema, _chosen(pairs, split, pairing, columns))
        require_items(len(self._table), pairs, split, pairing)
        for name in added:
            if not pc.sum(pc.list_value_length(self._table[name])).as_py():
                raise CrossRayError(
                    f"the {split} split of {pairs.uri} has no {name}; choose regions of a grid "
                    f"and structures of zones, or ingest pairs that have {name}."
                )
        self._boxes, self._masks = boxes, masks
        self._tokenizer, self._max_tokens = tokenizer, max_tokens
        self._transform, self._augmented = transform, augmented
        self.item_ids = self._table["item_id"].to_pylist()
        metas = self._table["meta"].to_pylist()
        keys = [study_key(item, meta) for item, meta in zip(self.item_ids, metas, strict=True)]
        self.keys_N = torch.tensor(keys, dtype=torch.int64)
        self.labels = self._table["labels"].to_pylist()

    def image(self, row: int, epoch: int | None = None) -> Tensor | AnnotatedImage:
        """`pixels_CYX`, normalised float; with the boxes and masks that they show, if read."""
        data = self._table["image"][row].as_py()
        shown = None if self._augmented is None else epoch
        if self._augmented is None or shown is None:
            pixels_CYX = self._transform(data)
        else:
            pixels_CYX = self._augmented(data, shown, row)
        if self._boxes is None and self._masks is None:
            return pixels_CYX
        boxes_R4 = masks_RYX = None
        if self._boxes is not None:
            corners = [[box[c] for c in _CORNERS] for box in self._table["boxes"][row].as_py()]
            boxes_R4 = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
            boxes_R4 = self._boxes(boxes_R4, data, shown, row)
        if self._masks is not None:
            encoded = [mask["png"] for mask in self._table["masks"][row].as_py()]
            masks_RYX = self._masks(encoded, shown, row)
        return AnnotatedImage(pixels_CYX, boxes_R4, masks_RYX)

    def picture(self, row: int) -> bytes:
        """The encoded image of an item, as it is stored."""
        data: bytes = self._table["image"][row].as_py()
        return data

    def _entries(self, row: int) -> list[list[str]]:
        return text_entries(self._table["texts"][row].as_py(), self._table["sections"][row].as_py())

    def text_count(self, row: int) -> int:
        """See `Corpus.text_count`."""
        return len(self._entries(row))

    def text(self, row: int, number: int) -> list[str]:
        """The sentences of a text."""
        return self._entries(row)[number]

    def collate_images(self, images: Sequence[Tensor | AnnotatedImage]) -> ImageBatch:
        """See `Corpus.collate_images`."""
        annotated = [image for image in images if isinstance(image, AnnotatedImage)]
        boxes = [image.boxes_R4 for image in annotated if image.boxes_R4 is not None]
        masks = [image.masks_RYX for image in annotated if image.masks_RYX is not None]
        pad = torch.nn.utils.rnn.pad_sequence
        counts_B = torch.tensor([len(boxes_R4) for boxes_R4 in boxes])
        return ImageBatch(
            pixels_BCYX=torch.stack(
                [
                    image.pixels_CYX if isinstance(image, AnnotatedImage) else image
                    for image in images
                ]
            ),
            boxes_BR4=pad(boxes, batch_first=True) if boxes else None,
            box_mask_BR=torch.arange(int(counts_B.max())) < counts_B[:, None] if boxes else None,
            masks_BRYX=pad(masks, batch_first=True) if masks else None,
        )

    def collate_texts(self, texts: Sequence[list[str]]) -> TextBatch:
        """See `Corpus.collate_texts`."""
        return self._tokenizer.encode(list(texts), self._max_tokens)


class FeatureCorpus(Corpus):
    """A split of a `features` artifact: the outputs of frozen towers, memory-mapped."""

    def __init__(self, features: Artifact, split: Split, pairing: Pairing = "paired") -> None:
        """`pairing`: whether items have a text, none, or either."""
        path = features.local() / f"{split}.arrow"
        rows = map_table(path) if path.exists() else pa.table({})
        if len(rows):
            rows = _with_texts(rows, pc.list_value_length(rows["sentences"]), pairing)
        require_items(len(rows), features, split, pairing)
        self._table = rows
        self._grid_shape = tuple(features.manifest.metrics["grid_shape"])
        self._width = int(features.manifest.metrics["text_width"])
        self.item_ids = rows["item_id"].to_pylist()
        self.keys_N = torch.from_numpy(rows["key"].to_numpy().copy())
        self.labels = rows["labels"].to_pylist()

    def image(self, row: int, epoch: int | None = None) -> Tensor:
        """`grid_CYX`, float32."""
        values = self._table["grid"][row].values.to_numpy(zero_copy_only=False)
        return torch.from_numpy(values.astype(np.float32).reshape(self._grid_shape))

    def text_count(self, row: int) -> int:
        """See `Corpus.text_count`."""
        return len(self._table["sentences"][row])

    def text(self, row: int, number: int) -> tuple[Tensor, Tensor]:
        """`states_TD`, float32, and `sentence_T`, long, of the tokens of a text."""
        states = self._table["states"][row].values[number].values.to_numpy(zero_copy_only=False)
        sentence = self._table["sentences"][row].values[number].values.to_numpy()
        states_TD = torch.from_numpy(states.astype(np.float32).reshape(-1, self._width))
        return states_TD, torch.from_numpy(sentence.astype(np.int64))

    def collate_images(self, images: Sequence[Tensor]) -> ImageBatch:
        """See `Corpus.collate_images`."""
        return ImageBatch(grid_BCYX=torch.stack(list(images)))

    def collate_texts(self, texts: Sequence[tuple[Tensor, Tensor]]) -> TextBatch:
        """See `Corpus.collate_texts`."""
        states, sentences = zip(*texts, strict=True)
        lengths_B = torch.tensor([len(sentence) for sentence in sentences])
        pad = torch.nn.utils.rnn.pad_sequence
        return TextBatch(
            mask_BT=torch.arange(int(lengths_B.max())) < lengths_B[:, None],
            sentence_BT=pad(list(sentences), batch_first=True, padding_value=-1),
            states_BTD=pad(list(states), batch_first=True),
        )


def require_items(
    count: int, artifact: Artifact, split: Split, pairing: Pairing = "paired"
) -> None:
    """Refuse a split without any item of that kind."""
    if count:
        return
    if pairing == "paired":
        raise CrossRayError(
            f"the {split} split of {artifact.uri} has no item with both an image and a text; "
            "use another split or ingest paired items for it."
        )
    raise CrossRayError(
        f"the {split} split of {artifact.uri} has no image{' without a text' * (pairing != 'all')}"
        "; use data that has some (`crossray split coverage` takes texts away), or train on pairs."
    )


def paired_rows(table: pa.Table, split: Split | None = None) -> pa.Table:
    """The rows of a pairs table that have both an image and a text, of one split if it is named."""
    return _rows(table, split, "paired")


def _rows(table: pa.Table, split: Split | None, pairing: Pairing) -> pa.Table:
    wanted = pc.is_valid(table["image"])
    if split is not None:
        wanted = pc.and_(wanted, pc.equal(table["split"], split))
    rows = table.filter(wanted)
    return _with_texts(rows, pc.list_value_length(rows["texts"]), pairing)


def _with_texts(rows: pa.Table, texts: pa.ChunkedArray, pairing: Pairing) -> pa.Table:
    """The rows whose number of texts is as wanted; the table itself if that is all of them."""
    if pairing == "all":
        return rows
    wanted = pc.greater(texts, 0) if pairing == "paired" else pc.equal(texts, 0)
    return rows if pc.all(wanted).as_py() else rows.filter(wanted)


def _chosen(
    pairs: Artifact, split: Split, pairing: Pairing, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    for table in iter_pairs(pairs, columns, split):
        yield from _rows(table, None, pairing).to_batches()
