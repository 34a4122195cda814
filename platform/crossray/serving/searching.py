"""From a search request to its answer, whatever topology encodes and searches."""

import asyncio
import base64
import binascii
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import numpy as np

from crossray.core.modality import direction, other
from crossray.index import MAX_K, MODALITIES, Hits, Modality, mix
from crossray.index.hits import NO_ROW, best, without_rows
from crossray.index.queries import Mode, check_mode
from crossray.index.shard import no_representations
from crossray.serving.backend import Backend, Query
from crossray.serving.catalogue import Catalogue
from crossray.serving.config import Limits
from crossray.serving.lineage import Lineage
from crossray.serving.metrics import serves, timed
from crossray.serving.problem import Problem, unavailable, unprocessable
from crossray.serving.schema import SearchRequest, Target

_GOOD_RECALL = 0.9


class Searcher:
    """Answers search requests from a backend and a catalogue."""

    def __init__(
        self, backend: Backend, catalogue: Catalogue, lineage: Lineage, limits: Limits
    ) -> None:
        self.backend, self.catalogue, self._limits = backend, catalogue, limits
        model = lineage.model
        self.served = {
            "index": lineage.index.id,
            "model": model.id,
            "student": model.id if model.kind == "student" else None,
        }
        self._dim, self._bits, self._represented = lineage.dim, lineage.bits, lineage.represented
        self.recall = lineage.recall
        self._images = 0
        serves(lineage)

    async def answer(self, request: SearchRequest) -> dict[str, Any]:
        """The answer (`schema.SearchAnswer`) as plain values.

        Raises:
            Problem: 404 for an unknown item, 422 for a query that does not fit the index, 503 for
                an answer that takes too long and for more image queries than are allowed.
            CrossRayError: the encoder or the index refuses the query.
        """
        began = time.perf_counter()
        check_mode(request.mode, self._bits)
        try:
            async with asyncio.timeout(self._limits.seconds):
                hits, notes = await self._answer(request)
        except TimeoutError:
            raise unavailable("The search took too long; try again.") from None
        took_ms = round(1000 * (time.perf_counter() - began), 3)
        return {"hits": hits, "notes": notes, **self.served, "took_ms": took_ms}

    async def _answer(self, request: SearchRequest) -> tuple[list[dict[str, Any]], list[str]]:
        """The hits, and notes on them for the client."""
        queried = self._modality(request)
        target = request.target or ("any" if queried is None else other(queried))
        if request.rerank:
            self._check_rerank(queried, target)
        query = await self._query(request)
        if not query.known:
            return [], list(query.notes)
        notes = [*query.notes, *self._expected(target, request.mode)]
        if target == "any" or not request.rerank:
            return await self._hits(query, target, request), notes
        return await self._reranked(query, target, request), notes

    def _check_rerank(self, queried: Modality | None, target: Target) -> None:
        if not self._represented:
            raise no_representations()
        if queried is None or target != other(queried):
            raise unprocessable(
                "Hits are ranked again by scores of images with texts: ask with a text, an image "
                "or an item, and for the other modality, or leave `rerank` out."
            )

    def _expected(self, target: Target, mode: Mode) -> Iterator[str]:
        """A note for each searched modality in which the mode has a low recall."""
        for modality in MODALITIES if target == "any" else (target,):
            name = direction(modality)
            found = self.recall.get(name, {}).get(mode)
            if found is not None and found < _GOOD_RECALL:
                better = max(self.recall[name].items(), key=lambda pair: pair[1])
                more = f"; {better[0]!r} finds {better[1]:.2f}" if better[1] > found else ""
                yield (
                    f"The mode {mode!r} finds {found:.2f} of the ten nearest {modality}s, as "
                    f"measured {name.replace('_', ' ')} when the index was built{more}."
                )

    def _modality(self, request: SearchRequest) -> Modality | None:
        """The query's modality; None for a vector, which can be of either."""
        if request.text is not None:
            return "text"
        if request.image is not None:
            return "image"
        return None if request.item_id is None else self._row_of(request.item_id)[0]

    async def _query(self, request: SearchRequest) -> Query:
        represent = bool(request.rerank)
        if request.text is not None:
            if len(request.text) > self._limits.text_characters:
                raise unprocessable(
                    f"The text has {len(request.text):,} characters; "
                    f"{self._limits.text_characters:,} are allowed."
                )
            with timed("encode"):
                return await self.backend.encode_text(request.text, represent)
        if request.image is not None:
            with self._place_for(request.image), timed("encode"):
                return await self.backend.encode_image(request.image, represent)
        if request.item_id is not None:
            modality, row = self._row_of(request.item_id)
            return await self.backend.stored(modality, row, request.item_id, represent)
        return self._raw(request)

    @contextmanager
    def _place_for(self, image: bytes) -> Iterator[None]:
        """Refuses images that are too large, and those beyond a number at the same time."""
        if len(image) > self._limits.image_bytes:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The image has {len(image):,} bytes; {self._limits.image_bytes:,} are allowed.",
            )
        if self._images >= self._limits.images:
            raise unavailable("More images wait than can be read in time; try again soon.")
        self._images += 1
        try:
            yield
        finally:
            self._images -= 1

    def _row_of(self, item_id: str) -> tuple[Modality, int]:
        """The row of the index that stands for an item."""
        item = self.catalogue.items.row(item_id)
        if item is None:
            raise unknown_item()
        found = self.catalogue.query_row(item)
        if found is None:
            raise unprocessable("The index holds no vector of this item.")
        return found

    def _raw(self, request: SearchRequest) -> Query:
        assert request.vector is not None
        if len(request.vector) != self._dim:
            raise unprocessable(
                f"The vector has {len(request.vector)} dimensions and the index {self._dim}."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            vector_D = np.array(request.vector, np.float32)
            if not np.isfinite(vector_D @ vector_D):
                raise unprocessable("The vector holds numbers that are too large.")
        if request.code is not None:
            return Query(vector_D, self._code(request.code))
        if request.mode != "float":
            raise unprocessable(
                f"The mode {request.mode!r} compares codes: give the vector's code of {self._bits} "
                "bits as `code`, or use the mode 'float'."
            )
        return Query(vector_D, np.zeros(self._bits // 8, np.uint8))

    def _code(self, text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        size = self._bits // 8
        if not size:
            raise unprocessable("The index holds no codes: leave `code` out.")
        try:
            hexadecimal = len(text) == 2 * size
            data = bytes.fromhex(text) if hexadecimal else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            data = b""
        if len(data) != size:
            raise unprocessable(
                f"The code is not {self._bits} bits in hexadecimal ({2 * size} digits) or base64."
            )
        return np.frombuffer(data, np.uint8)

    async def _hits(
        self, query: Query, target: Target, request: SearchRequest
    ) -> list[dict[str, Any]]:
        with timed("search"):
            if target != "any":
                found = await self._search(target, query, request.k, request)
                return self._answers(found, [target] * request.k)
            images, texts = await asyncio.gather(
                *(self._search(modality, query, request.k, request) for modality in MODALITIES)
            )
        mixed = mix(images, texts, request.k)
        modalities = [MODALITIES[number] for number in mixed.modalities_QK[0].tolist()]
        return self._answers(Hits(mixed.scores_QK, mixed.rows_QK), modalities)

    async def _search(
        self, modality: Modality, query: Query, k: int, request: SearchRequest
    ) -> Hits:
        """The `k` best rows; the rows of the queried item only where the request includes them."""
        if request.item_id is None or request.include_self:
            return await self.backend.search(modality, query, request.options(k))
        item_rows_R = self.catalogue.rows(modality, request.item_id)
        more = min(k + len(item_rows_R), MAX_K)
        found = await self.backend.search(modality, query, request.options(more))
        return without_rows(found, item_rows_R, k)

    async def _reranked(
        self, query: Query, target: Modality, request: SearchRequest
    ) -> list[dict[str, Any]]:
        """The best of the first hits by the model's full score.

        They are scored in the order of their rows, so that shards do not matter.
        """
        with timed("search"):
            first = await self._search(target, query, request.rerank, request)
        rows_C = np.sort(first.rows_QK[0][first.rows_QK[0] != NO_ROW])
        if not len(rows_C):
            return []
        with timed("rerank"):
            scores_C = await self.backend.scores(target, query, rows_C.tolist())
        return self._answers(best(scores_C[None], rows_C[None], request.k), [target] * request.k)

    def _answers(self, hits: Hits, modalities: list[Modality]) -> list[dict[str, Any]]:
        rows, scores = hits.rows_QK[0].tolist(), hits.scores_QK[0].tolist()
        return [
            self.catalogue.hit(modality, row, score)
            for modality, row, score in zip(modalities, rows, scores, strict=True)
            if row != NO_ROW
        ]


def unknown_item() -> Problem:
    """The answer for an id that no item has."""
    return Problem(HTTPStatus.NOT_FOUND, "No item has this id.")
