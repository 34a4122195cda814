"""A teacher's outputs on disk, and the corpus that adds them to images and texts."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from crossray.core.errors import CrossRayError
from crossray.core.types import ImageBatch, Representation, TeacherOutputs, TextBatch
from crossray.data.corpora.corpus import Corpus

OUTPUTS_SCHEMA = pa.schema(
    [
        ("image", pa.large_binary()),
        ("texts", pa.list_(pa.large_binary())),
        ("image_layers", pa.large_binary()),
        ("text_layers", pa.list_(pa.large_binary())),
    ]
)


class ItemOutputs(NamedTuple):
    """A teacher's outputs for one item, each tensor without the batch dimension."""

    image: Representation
    texts: Sequence[Representation]
    image_layers: Representation
    text_layers: Sequence[Representation]


def outputs_batch(rows: Iterable[ItemOutputs]) -> pa.RecordBatch:
    """Rows of `OUTPUTS_SCHEMA`: every representation is one safetensors buffer, floats in half."""
    columns = zip(
        *(
            (_pack(r.image), _pack_all(r.texts), _pack(r.image_layers), _pack_all(r.text_layers))
            for r in rows
        ),
        strict=True,
    )
    arrays = [pa.array(list(c), t.type) for c, t in zip(columns, OUTPUTS_SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=OUTPUTS_SCHEMA)


def _pack(part: Representation) -> bytes:
    def halved(tensor: Tensor) -> Tensor:
        return tensor.half() if tensor.is_floating_point() else tensor

    return save({name: halved(tensor).cpu().contiguous() for name, tensor in part.items()})


def _pack_all(parts: Sequence[Representation]) -> list[bytes]:
    return [_pack(part) for part in parts]


def _unpack(data: bytes) -> Representation:
    def full(tensor: Tensor) -> Tensor:
        return tensor.float() if tensor.is_floating_point() else tensor

    return {name: full(tensor) for name, tensor in load(data).items()}


class DistillationCorpus(Corpus):
    """Images of one corpus and texts of another, of the same items, with a teacher's outputs."""

    def __init__(self, images: Corpus, texts: Corpus, outputs: pa.Table | None) -> None:
        """`outputs` has one row an item, in the corpora's order; None for none."""
        if images.item_ids != texts.item_ids:
            raise CrossRayError(
                "the features do not hold the same items as the pairs; make the features again."
            )
        self._images, self._texts, self._outputs = images, texts, outputs
        self.item_ids, self.keys_N, self.labels = texts.item_ids, texts.keys_N, texts.labels

    def image(self, row: int, epoch: int | None = None) -> Any:
        """See `Corpus.image`."""
        return self._images.image(row, epoch)

    def text_count(self, row: int) -> int:
        """See `Corpus.text_count`."""
        return self._texts.text_count(row)

    def text(self, row: int, number: int) -> Any:
        """See `Corpus.text`."""
        return self._texts.text(row, number)

    def collate_images(self, images: Sequence[Any]) -> ImageBatch:
        """See `Corpus.collate_images`."""
        return self._images.collate_images(images)

    def collate_texts(self, texts: Sequence[Any]) -> TextBatch:
        """See `Corpus.collate_texts`."""
        return self._texts.collate_texts(texts)

    def teacher_outputs(self, row: int, number: int) -> TeacherOutputs | None:
        """See `Corpus.teacher_outputs`."""
        if self._outputs is None:
            return None
        column = self._outputs.column
        return TeacherOutputs(
            _unpack(column("image")[row].as_py()),
            _unpack(column("texts")[row][number].as_py()),
            _unpack(column("image_layers")[row].as_py()),
            _unpack(column("text_layers")[row][number].as_py()),
        )


def collate_outputs(samples: Sequence[TeacherOutputs]) -> TeacherOutputs:
    """The samples as one batch; shorter tensors are padded with 0 at the end of each dimension."""

    def stacked(parts: Sequence[Representation]) -> Representation:
        return {name: _stack([part[name] for part in parts]) for name in parts[0]}

    return TeacherOutputs(
        stacked([sample.images for sample in samples]),
        stacked([sample.texts for sample in samples]),
        stacked([sample.image_layers for sample in samples]),
        stacked([sample.text_layers for sample in samples]),
    )


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    shape = np.array([tensor.shape for tensor in tensors]).max(axis=0, initial=0).tolist()
    padded = []
    for tensor in tensors:
        missing = [(0, longest - size) for size, longest in zip(tensor.shape, shape, strict=True)]
        padded.append(functional.pad(tensor, [n for pair in reversed(missing) for n in pair]))
    return torch.stack(padded)
