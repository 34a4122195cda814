"""What the gateway needs of whatever encodes and searches; one implementation a topology."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crossray.index import Hits, Modality, Mode
from crossray.index.arrays import Floats
from crossray.serving.query import Query


class Backend(Protocol):
    """Encodes queries, searches shards and scores what they found.

    Every method raises `CrossRayError` for a query that is at fault, and `problem.Problem` with
    status 503 where a part of the system does not answer.
    """

    async def encode_text(self, text: str, represent: bool) -> Query:
        """The query that a text is; `represent`: with what its model's score needs to know."""
        ...

    async def encode_image(self, image: bytes, represent: bool) -> Query:
        """The query that an encoded image is."""
        ...

    async def stored(self, modality: Modality, row: int, item_id: str, represent: bool) -> Query:
        """What the index holds at a row, which belongs to an item."""
        ...

    async def search(self, modality: Modality, query: Query, k: int, mode: Mode) -> Hits:
        """The `k` best rows of a modality in all shards, for one query."""
        ...

    async def scores(self, modality: Modality, query: Query, rows: Sequence[int]) -> Floats:
        """The model's whole scores of a query, which has its representation, with some rows."""
        ...

    async def ready(self) -> bool:
        """Whether every part answers."""
        ...
