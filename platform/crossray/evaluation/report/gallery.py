"""Queries with what was found for them, for readers who would rather look than read."""

from dataclasses import dataclass
from typing import Literal

HitKind = Literal["own", "label", "wrong"]


@dataclass(frozen=True)
class Card:
    """A text, or a picture as the bytes of a JPEG."""

    text: str = ""
    picture: bytes | None = None


@dataclass(frozen=True)
class GalleryHit:
    """What was found, and whether it is the query's own, shares a label with it, or neither."""

    card: Card
    verdict: HitKind


@dataclass(frozen=True)
class Example:
    """A query, the first hits in their order, and the rank from 1 of the first that is its own.

    There is no such rank where the query was taken out of the database.
    """

    query: Card
    hits: tuple[GalleryHit, ...]
    rank: int | None


Gallery = dict[str, list[Example]]
