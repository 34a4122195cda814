"""What the gateway needs of whatever encodes and searches; one implementation a topology."""

from __future__ import annotations

from typing import Protocol

from crossray.index import Hits, Modality, Mode
from crossray.serving.query import Query


class Backend(Protocol):
    """Encodes queries and searches shards.

    Every method raises `CrossRayError` for a query that is at fault, and `problem.Problem` with
    status 503 where a part of the system does not answer.
    """

    async def encode_text(self, text: str) -> Query:
        """The query that a text is."""
        ...

    async def encode_image(self, image: bytes) -> Query:
        """The query that an encoded image is."""
        ...

    async def stored(self, modality: Modality, row: int, item_id: str) -> Query:
        """What the index holds at a row, which belongs to an item."""
        ...

    async def search(self, modality: Modality, query: Query, k: int, mode: Mode) -> Hits:
        """The `k` best rows of a modality in all shards, for one query."""
        ...

    async def ready(self) -> bool:
        """Whether every part answers."""
        ...
