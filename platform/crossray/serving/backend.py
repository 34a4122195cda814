"""Queries as an index understands them, and what encodes and searches them in each topology."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from crossray.index import Hits, Modality, SearchOptions, Shard
from crossray.index.arrays import Codes, Floats
from crossray.index.representations import Parts


class Query(NamedTuple):
    """An embedding, float32, and the packed code that belongs to it, of no bytes if there is none.

    `parts`: its representation, from which the model re-ranks hits. `notes`: sentences for the
    client about how the query was read. `known`: False for a text without a word of the vocabulary,
    which finds nothing.
    """

    vector_D: Floats
    code_Y: Codes
    parts: Parts | None = None
    notes: tuple[str, ...] = ()
    known: bool = True


class Refusal(NamedTuple):
    """A `CrossRayError` as an answer of a deployment: an exception would bring its traceback."""

    sentence: str


def stored_query(shard: Shard, modality: Modality, row: int, represent: bool) -> Query:
    """A stored row as a query; the shard must hold the row."""
    part = shard.parts[modality]
    place = int(np.searchsorted(part.rows_N, row))
    assert part.rows_N[place] == row, (shard.number, modality, row)
    parts = part.represented(row) if represent else None
    return Query(part.vectors_ND[place].astype(np.float32), part.code(place), parts)


class Backend(Protocol):
    """Encodes queries, searches shards and scores what they found.

    Every method raises `CrossRayError` for a query that is at fault, and `problem.Problem` with
    status 503 where a part of the system does not answer.
    """

    async def encode_text(self, text: str, represent: bool) -> Query:
        """A text as a query; `represent`: with the representation that its model scores."""
        ...

    async def encode_image(self, image: bytes, represent: bool) -> Query:
        """An encoded image as a query; `represent` as for a text."""
        ...

    async def stored(self, modality: Modality, row: int, item_id: str, represent: bool) -> Query:
        """What the index holds at a row, which belongs to an item."""
        ...

    async def search(self, modality: Modality, query: Query, options: SearchOptions) -> Hits:
        """The best rows of a modality in all shards, for one query."""
        ...

    async def scores(self, modality: Modality, query: Query, rows: Sequence[int]) -> Floats:
        """The model's full scores of a query, which has its representation, with some rows."""
        ...

    async def ready(self) -> bool:
        """Whether every part answers."""
        ...
