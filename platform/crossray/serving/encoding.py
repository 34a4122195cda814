"""Queries to vectors, codes and scores: the model behind batches and threads."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Generic, TypeVar

import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.core.modality import other
from crossray.index import MODALITIES, Modality
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
from crossray.models.encoder import Encoded, ModelEncoder
from crossray.serving.backend import Query
from crossray.serving.batching import Batcher
from crossray.serving.config import ServingConfig
from crossray.serving.image_process import Reading
from crossray.serving.image_process import check_pixels as check_pixels  # as callers know it
from crossray.serving.image_reader import ImageReader
from crossray.serving.lineage import Lineage
from crossray.serving.metrics import batched, timed, took

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _Arrived(Generic[_Item]):
    """A query and the time at which it began to wait."""

    item: _Item
    since: float


class QueryEncoder:
    """A model that encodes queries in batches, off the event loop.

    One thread encodes texts and another images, so that no text waits for an image; images are
    decoded in processes before (`ImageReader`). How many cores a batch uses is torch's number of
    threads, set here for the process.
    """

    def __init__(self, lineage: Lineage, config: ServingConfig, device: str) -> None:
        torch.set_num_threads(config.encoder_threads)
        self._encoder = ModelEncoder(lineage.model, device)
        self.dim, self.bits = self._encoder.dim, self._encoder.bits
        limits = config.limits
        self._reader = ImageReader(
            Reading(
                self._encoder.transform,
                limits.image_pixels,
                lineage.short_side,
                lineage.grey_range,
            ),
            config.image_processes,
            limits.image_seconds,
        )
        most = config.max_batch
        self._pools = {m: ThreadPoolExecutor(1, thread_name_prefix=m) for m in MODALITIES}
        self._text: dict[bool, Batcher[_Arrived[str], Query]] = {
            represent: Batcher(
                _measured(partial(self._texts, represent)), most, self._pools["text"]
            )
            for represent in (False, True)
        }
        self._image: dict[bool, Batcher[_Arrived[Tensor], Query]] = {
            represent: Batcher(
                _measured(partial(self._images, represent)), most, self._pools["image"]
            )
            for represent in (False, True)
        }

    async def text(self, text: str, represent: bool) -> Query:
        """A text as a query, with its representation if `represent`."""
        return await self._text[represent](_Arrived(text, perf_counter()))

    async def image(self, image: bytes, represent: bool) -> Query:
        """An encoded image as a query, with its representation if `represent`."""
        with timed("decode"):
            pixels = await self._reader(image)
        return await self._image[represent](_Arrived(pixels, perf_counter()))

    async def scores(self, query: Parts, target: Modality, candidates: Sequence[Parts]) -> Floats:
        """See `ModelEncoder.scores`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pools[other(target)], self._encoder.scores, query, target, candidates
        )

    async def alive(self) -> None:
        """Returns when the thread of texts has taken work; it does not wait for images."""
        await asyncio.get_running_loop().run_in_executor(self._pools["text"], int)

    def _texts(self, represent: bool, texts: Sequence[str]) -> list[Query]:
        try:
            encoded = self._encoder.texts([[text] for text in texts], represent)
        except CrossRayError:
            raise CrossRayError(
                "the text has no word that can be searched for; give it some."
            ) from None
        return [self._with_notes(*row) for row in zip(texts, _queries(encoded), strict=True)]

    def _with_notes(self, text: str, query: Query) -> Query:
        """The query of a text, with notes for its client."""
        fit = self._encoder.fit(text)
        notes = []
        if fit.read < fit.tokens:
            notes.append(
                f"The text was cut: it has {fit.tokens:,} tokens, of which the model reads the "
                f"first {fit.read:,}."
            )
        if not fit.known:
            notes.append("The model knows none of the words that it read: nothing was searched.")
        return query._replace(notes=tuple(notes), known=fit.known > 0)

    def _images(self, represent: bool, images: Sequence[Tensor]) -> list[Query]:
        return _queries(self._encoder.seen(images, represent))


def _measured(
    work: Callable[[Sequence[_Item]], list[Query]],
) -> Callable[[Sequence[_Arrived[_Item]]], list[Query]]:
    """The same work; records its time, its size and how long its queries waited."""

    def encode(batch: Sequence[_Arrived[_Item]]) -> list[Query]:
        began = perf_counter()
        for query in batch:
            took("queue", began - query.since)
        batched(len(batch))
        with timed("model"):
            return work([query.item for query in batch])

    return encode


def _queries(encoded: Encoded) -> list[Query]:
    parts: Sequence[Parts | None] = encoded.parts or [None] * len(encoded.z_BD)
    rows = zip(encoded.z_BD, encoded.codes_BY, parts, strict=True)
    return [Query(*row) for row in rows]
