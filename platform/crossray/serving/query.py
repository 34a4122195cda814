"""A query as an index understands it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crossray.index import Modality, Shard
from crossray.index.arrays import Codes, Floats
from crossray.index.representations import Parts


class Query(NamedTuple):
    """An embedding, float32, and the packed code that belongs to it, of no bytes if there is none.

    `parts`: what the model's score needs to know of the query, where hits are to be ranked again.
    `notes`: what its client should know of how it was read. `known`: False for a text without a
    word that the model knows, which finds nothing.
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
    """What a shard holds at a row number of the index, which must be one of its own."""
    part = shard.parts[modality]
    place = int(np.searchsorted(part.rows_N, row))
    assert part.rows_N[place] == row, (shard.number, modality, row)
    parts = part.represented(row) if represent else None
    return Query(part.vectors_ND[place].astype(np.float32), part.code(place), parts)
