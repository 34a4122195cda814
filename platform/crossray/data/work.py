"""The part of an ingest that runs in Ray's workers: a unit of the input becomes Arrow tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from crossray.data.grey_range import GreyRange
from crossray.data.images import ImageFile, admitted_image, shown_shape, stored_mask
from crossray.data.rejection import Rejected
from crossray.data.schema import PAIR_SCHEMA, REJECTED_SCHEMA, PairRow
from crossray.data.splits import SPLITS, assign_split

MAX_TEXT = 100_000
UNIT_COLUMN = "unit"
GREY_RANGE = "grey_range"  # in `meta`, of images of more than 8 bits a channel
_TABLE_BYTES = 8 << 20
_VERDICT = [field for field in REJECTED_SCHEMA if field.name != "item_id"]
# Rejected rows carry nulls in the pair columns, accepted ones in `reason` and `detail`.
WORK_SCHEMA = pa.schema([field.with_nullable(True) for field in [*PAIR_SCHEMA, *_VERDICT]])


class Reader(Protocol):
    """How one importer reads its input, inside a worker."""

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The raw rows of a unit in order, each with where it stands in the input."""

    def row(self, raw: Any) -> PairRow:
        """The pair of a raw row; raises `Rejected`."""


@dataclass(frozen=True)
class Worker:
    """Turns units into tables of `WORK_SCHEMA`, one row for every raw row, in order."""

    reader: Reader
    seed: int
    grey_range: GreyRange = "auto"

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        """Tables of a few megabytes; `block` has a column of units as JSON."""
        rows: list[dict[str, Any]] = []
        size = 0
        for unit in block[UNIT_COLUMN].to_pylist():
            for where, raw in self.reader.read(json.loads(unit)):
                rows.append(self._judge(where, raw))
                size += len(rows[-1].get("image") or b"")
                if size >= _TABLE_BYTES:
                    yield pa.Table.from_pylist(rows, schema=WORK_SCHEMA)
                    rows, size = [], 0
        if rows:
            yield pa.Table.from_pylist(rows, schema=WORK_SCHEMA)

    def _judge(self, where: str, raw: Any) -> dict[str, Any]:
        row: PairRow = {}
        try:
            row = self.reader.row(raw)
            return {**_complete(row, self.seed, self.grey_range), "where": where}
        except Rejected as error:
            return {
                "item_id": row.get("item_id"),
                "where": where,
                "reason": error.reason,
                "detail": error.detail,
            }


def _complete(row: PairRow, seed: int, grey_range: GreyRange) -> dict[str, Any]:
    """The row with every column of `PAIR_SCHEMA`, checked; raises `Rejected`."""
    item_id = row["item_id"].strip()
    if not item_id:
        raise Rejected("missing id", "the id is blank")
    group_id = (row.get("group_id") or "").strip() or item_id
    split = row.get("split") or assign_split(group_id, seed)
    if split not in SPLITS:
        raise Rejected("unknown split", f"{split!r} is not one of {', '.join(SPLITS)}")
    texts = _texts(row)
    image = row.get("image")
    if image is None and not texts:
        raise Rejected("missing text", "there is neither an image nor a text")
    stored, meta = None, dict(row.get("meta", {}))
    if image is not None:
        admitted = admitted_image(_read(image), grey_range)
        stored = admitted.data
        if admitted.grey_range is not None:
            meta[GREY_RANGE] = admitted.grey_range
    return {
        "item_id": item_id,
        "group_id": group_id,
        "split": split,
        "image": stored,
        "texts": texts,
        "sections": list(row.get("sections", ())),
        "labels": list(dict.fromkeys(row.get("labels", ()))),
        "boxes": list(row.get("boxes", ())),
        "masks": _masks(row, stored),
        "meta": sorted(meta.items()),
    }


def _masks(row: PairRow, image: bytes | None) -> list[dict[str, Any]]:
    """The masks of the stored image; an item without an image has none."""
    masks = row.get("masks", ())
    if image is None or not masks:
        return []
    shape = shown_shape(image)
    return [{"name": mask["name"], "png": stored_mask(_read(mask["png"]), shape)} for mask in masks]


def _read(picture: bytes | ImageFile) -> bytes:
    return picture.read() if isinstance(picture, ImageFile) else picture


def _texts(row: PairRow) -> list[str]:
    texts = [text.strip() for text in row.get("texts", ())]
    if not all(texts):
        raise Rejected("missing text", "a text is blank")
    if (length := sum(map(len, texts))) > MAX_TEXT:
        raise Rejected("text too long", f"{length:,} characters, the limit is {MAX_TEXT:,}")
    return texts
