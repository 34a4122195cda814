"""The part of an ingest that runs in Ray's workers: a unit of the input becomes Arrow tables."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.data.image_file import ImageFile
from crossray.data.images.encoded import admitted_image, shown_shape, stored_mask
from crossray.data.images.grey_range import GreyRange
from crossray.data.missing_values import is_visible, present
from crossray.data.rejection import Rejected
from crossray.data.schema import PAIR_SCHEMA, REJECTED_SCHEMA, Box, PairRow
from crossray.data.sources.source import Reader
from crossray.data.split import SPLITS, assign_split

MAX_TEXT = 100_000
UNIT_COLUMN = "unit"
GREY_RANGE = "grey_range"  # in `meta`, of images of more than 8 bits a channel
_TABLE_BYTES = 8 << 20
_MAX_DETAIL = 500
_VERDICT = [field for field in REJECTED_SCHEMA if field.name != "item_id"]
BLANK_TEXTS = "blank_texts"
# Rejected rows carry nulls in the pair columns, accepted ones in `reason` and `detail`.
WORK_SCHEMA = pa.schema(
    [
        *(field.with_nullable(True) for field in [*PAIR_SCHEMA, *_VERDICT]),
        pa.field(BLANK_TEXTS, pa.int32()),
    ]
)
# What values of an unexpected type raise.
_WRONG_VALUE = (
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pa.ArrowException,
)  # fmt: skip


@dataclass(frozen=True)
class IngestWorker:
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
                rows.append(self._judge(encodable(where), raw))
                size += len(rows[-1].get("image") or b"")
                if size >= _TABLE_BYTES:
                    yield _table(rows)
                    rows, size = [], 0
        if rows:
            yield _table(rows)

    def _judge(self, where: str, raw: Any) -> dict[str, Any]:
        """The values of `WORK_SCHEMA`; no row can make another one fail."""
        row: PairRow = {}
        try:
            row = self.reader.row(raw)
            return {**_complete(row, self.seed, self.grey_range), "where": where}
        except CrossRayError:
            raise
        except (Rejected, *_WRONG_VALUE) as error:
            return _refused(row.get("item_id"), where, error)


def encodable(text: str) -> str:
    """`text` with what UTF-8 cannot hold, as in a file name of another encoding, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows, where one that Arrow cannot hold, as for a lone surrogate, is rejected."""
    try:
        return pa.Table.from_pylist(rows, schema=WORK_SCHEMA)
    except _WRONG_VALUE as error:
        if len(rows) == 1:
            return _table([_refused(rows[0]["item_id"], rows[0]["where"], error)])
    return pa.concat_tables([_table([row]) for row in rows]).combine_chunks()


def _refused(item_id: object, where: str, error: Exception) -> dict[str, Any]:
    """The values of `WORK_SCHEMA` of a row that raised."""
    if isinstance(error, Rejected):
        reason, detail = error.reason, error.detail
    elif isinstance(error, UnicodeError):
        reason, detail = "not UTF-8", str(error)
    else:
        reason, detail = "malformed row", f"{type(error).__name__}: {error}"
    return {
        "item_id": encodable(item_id) if isinstance(item_id, str) else None,
        "where": where,
        "reason": reason,
        "detail": encodable(" ".join(detail.split())[:_MAX_DETAIL]),
    }


def _complete(row: PairRow, seed: int, grey_range: GreyRange) -> dict[str, Any]:
    """The row with every column of `WORK_SCHEMA` but the verdict; raises `Rejected`."""
    item_id = present(_string(row.get("item_id"), "id"))
    if not is_visible(item_id):
        raise Rejected("missing id", "the id is blank")
    group_id = present(_string(row.get("group_id"), "group"))
    group_id = group_id if is_visible(group_id) else item_id
    split = _string(row.get("split"), "split") or assign_split(group_id, seed)
    if split not in SPLITS:
        raise Rejected("unknown split", f"{split!r} is not one of {', '.join(SPLITS)}")
    texts, blank = _texts(row)
    image = row.get("image")
    if image is None and not texts:
        raise Rejected("missing text", "there is neither an image nor a text")
    stored, meta = None, dict(row.get("meta", {}))
    if image is not None:
        admitted = admitted_image(_read(image), grey_range)
        stored = admitted.data
        if admitted.grey_range is not None:
            meta[GREY_RANGE] = admitted.grey_range
    labels = [_string(label, "label") for label in row.get("labels", ())]
    return {
        "item_id": item_id,
        "group_id": group_id,
        "split": split,
        "image": stored,
        "texts": texts,
        "sections": list(row.get("sections", ())),
        "labels": list(dict.fromkeys(filter(is_visible, labels))),
        "boxes": [_box(box) for box in row.get("boxes", ())],
        "masks": _masks(row, stored),
        "meta": sorted(meta.items()),
        BLANK_TEXTS: blank,
    }


def _string(value: object, what: str) -> str:
    """The value stripped, blank for None; raises `UnicodeError` for what UTF-8 cannot hold."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Rejected("malformed row", f"the {what} is {value!r:.60}, not a string")
    value.encode()
    return value.strip()


def _box(box: Box) -> Box:
    """The box, if it is one within the image; an edge may be its only side."""
    inside = 0 <= box["x0"] <= box["x1"] <= 1 and 0 <= box["y0"] <= box["y1"] <= 1
    if not inside:  # NaN is not, either
        corners = ", ".join(f"{box[corner]:.4g}" for corner in ("x0", "y0", "x1", "y1"))
        raise Rejected("malformed row", f"the box {corners} is not within the image")
    return box


def _masks(row: PairRow, image: bytes | None) -> list[dict[str, Any]]:
    """The masks of the stored image; an item without an image has none."""
    masks = row.get("masks", ())
    if image is None or not masks:
        return []
    shape = shown_shape(image)
    return [{"name": mask["name"], "png": stored_mask(_read(mask["png"]), shape)} for mask in masks]


def _read(picture: bytes | ImageFile) -> bytes:
    return picture.read() if isinstance(picture, ImageFile) else picture


def _texts(row: PairRow) -> tuple[list[str], int]:
    """The texts that show something, and how many do not; one of them must."""
    given = row.get("texts", ())
    if isinstance(given, str):
        raise Rejected("malformed row", f"the texts are {given!r:.60}, not a list")
    texts = ["" if _missing(text) else _string(text, "text") for text in given]
    if not row.get("sections"):  # a sentence of a report may well be "None"
        texts = [present(text) for text in texts]
    visible = [text for text in texts if is_visible(text)]
    blank = len(texts) - len(visible)
    # The sections of a document count its sentences, so none may be left out.
    if texts and (not visible or (blank and row.get("sections"))):
        raise Rejected("missing text", "a text is blank" if visible else "every text is blank")
    if (length := sum(map(len, visible))) > MAX_TEXT:
        raise Rejected("text too long", f"{length:,} characters, the limit is {MAX_TEXT:,}")
    return visible, blank


def _missing(text: object) -> bool:
    return text is None or (isinstance(text, float) and math.isnan(text))
