"""Queries to vectors, codes and scores: the model behind batches and a thread."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import Generic, TypeVar

import torch
from PIL import Image

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.distill.encoder import Encoded, ModelEncoder
from crossray.index import Modality
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
from crossray.serving.batching import Batcher
from crossray.serving.config import ServingConfig
from crossray.serving.metrics import batched, timed, took
from crossray.serving.query import Query

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _Arrived(Generic[_Item]):
    """A query and the time at which it began to wait."""

    item: _Item
    since: float


class QueryEncoder:
    """A model that encodes queries in batches, off the event loop.

    One thread encodes; how many cores a batch uses is torch's number of threads, set here for the
    whole process.
    """

    def __init__(self, model: Artifact, config: ServingConfig, device: str) -> None:
        torch.set_num_threads(config.encoder_threads)
        self._encoder = ModelEncoder(model, device)
        self.dim, self.bits = self._encoder.dim, self._encoder.bits
        self._pixels = config.limits.image_pixels
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        most, pool = config.max_batch, self._pool
        self._text: dict[bool, Batcher[_Arrived[str], Query]] = {
            represent: Batcher(_measured(partial(self._texts, represent)), most, pool)
            for represent in (False, True)
        }
        self._image: dict[bool, Batcher[_Arrived[bytes], Query]] = {
            represent: Batcher(_measured(partial(self._images, represent)), most, pool)
            for represent in (False, True)
        }

    async def text(self, text: str, represent: bool) -> Query:
        """The query that a text is, with its representation if that is asked for."""
        return await self._text[represent](_Arrived(text, perf_counter()))

    async def image(self, image: bytes, represent: bool) -> Query:
        """The query that an encoded image is, with its representation if that is asked for."""
        return await self._image[represent](_Arrived(image, perf_counter()))

    async def scores(self, query: Parts, target: Modality, candidates: Sequence[Parts]) -> Floats:
        """See `ModelEncoder.scores`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._encoder.scores, query, target, candidates
        )

    async def alive(self) -> None:
        """Returns when the thread has taken work."""
        await asyncio.get_running_loop().run_in_executor(self._pool, int)

    def _texts(self, represent: bool, texts: Sequence[str]) -> list[Query | Exception]:
        def encode(batch: Sequence[str]) -> Encoded:
            return self._encoder.texts([[text] for text in batch], represent)

        found = each(encode, texts)
        return [_no_words() if isinstance(result, CrossRayError) else result for result in found]

    def _images(self, represent: bool, images: Sequence[bytes]) -> list[Query | Exception]:
        def encode(batch: Sequence[bytes]) -> Encoded:
            for image in batch:
                check_pixels(image, self._pixels)
            return self._encoder.images(batch, represent)

        return each(encode, images)


def _measured(
    work: Callable[[Sequence[_Item]], list[Query | Exception]],
) -> Callable[[Sequence[_Arrived[_Item]]], list[Query | Exception]]:
    """The same work, with its time, its size and the waiting of its queries measured."""

    def encode(batch: Sequence[_Arrived[_Item]]) -> list[Query | Exception]:
        began = perf_counter()
        for query in batch:
            took("queue", began - query.since)
        batched(len(batch))
        with timed("model"):
            return work([query.item for query in batch])

    return encode


def each(
    encode: Callable[[Sequence[_Item]], Encoded], items: Sequence[_Item]
) -> list[Query | Exception]:
    """A result for each item, so that one that cannot be encoded spoils no other."""
    try:
        encoded = encode(items)
        parts: Sequence[Parts | None] = encoded.parts or [None] * len(items)
        rows = zip(encoded.z_BD, encoded.codes_BY, parts, strict=True)
        return [Query(*row) for row in rows]
    except CrossRayError as error:
        if len(items) == 1:
            return [error]
        return [each(encode, [item])[0] for item in items]


def check_pixels(image: bytes, limit: int) -> None:
    """Judge an image by its header, before anything of its size is allocated.

    Raises:
        CrossRayError: it has more than `limit` pixels, or no readable header.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(image)) as opened:
                pixels = opened.width * opened.height
    except Image.DecompressionBombError:
        raise _too_many(limit) from None
    except Exception:  # decoders of hostile bytes raise almost anything
        raise CrossRayError(
            "the image cannot be read; send a whole JPEG, PNG, WebP, BMP, GIF or TIFF file."
        ) from None
    if pixels > limit:
        raise _too_many(limit)


def _too_many(limit: int) -> CrossRayError:
    return CrossRayError(
        f"the image has more than the allowed {limit:,} pixels; scale it down first."
    )


def _no_words() -> CrossRayError:
    return CrossRayError("the text has no word that can be searched for; give it some.")
