"""What importers of published sets share: finding the files, reading them, listing the rows."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

from crossray.core.errors import CrossRayError
from crossray.data.image_file import ImageFile
from crossray.data.rejection import Reason, Rejected
from crossray.data.schema import PairRow
from crossray.data.sources.source import MAX_CELL, UNIT_ROWS, Plan

Row = dict[str, Any]
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Layout:
    """A folder given by the user; `remedy` says what it must hold and where to get that."""

    folder: str
    remedy: str

    def find(self, *names: str) -> Path:
        """The first of the `names` (all spellings of one thing) in the folder or one level below.

        Raises `CrossRayError` when there is none.
        """
        if (path := self.find_if_any(*names)) is not None:
            return path
        raise CrossRayError(f"{self.folder} has no {' or '.join(names)}; {self.remedy}.")

    def find_if_any(self, *names: str) -> Path | None:
        """What `find` gives, or None where there is none."""
        root = Path(self.folder).resolve()
        for name in names:
            for path in (root / name, *sorted(root.glob(f"*/{name}"))):
                if path.exists():
                    return path
        return None


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark; a name in `.gz` is decompressed.

    Bytes that are not UTF-8 become lone surrogates, for which the rows that hold them are rejected.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except (OSError, EOFError, zlib.error) as error:
        raise CrossRayError(
            f"{path} cannot be read ({error}); use the file as distributed."
        ) from None


def lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file that are not blank, stripped."""
    # Not `splitlines`: it also breaks at characters that captions contain.
    return [line.strip() for line in read_text(path).split("\n") if line.strip()]


def text_file(folder: Path, name: str) -> str:
    """The text of a row's file in `folder`; the name is not trusted.

    Raises `Rejected` when there is no such file or it is not UTF-8.
    """
    try:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Rejected("missing text", f"the file {name!r} is outside of the folder")
        return (folder / name).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("not UTF-8", f"byte {error.object[error.start]:#04x}") from None
    except (OSError, ValueError):  # a NUL in the name, or half a character
        raise Rejected("missing text", f"there is no file {name!r}") from None


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a thousand brackets
        raise CrossRayError(f"{path} is not JSON ({error}); use the file as distributed.") from None


def json_list(content: Any, name: str, fields: set[str]) -> list[Any] | None:
    """The list `name` of a JSON object; None where none of its entries has the `fields`."""
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return None
    like = any(isinstance(entry, dict) and entry.keys() >= fields for entry in entries)
    return entries if like or not entries else None


class Cells(dict[str, str]):
    """A row of `table` by column; `fault` says what is wrong with its number of cells, if it is."""

    fault: str | None = None


def table(path: Path, columns: Sequence[str]) -> Iterator[Cells]:
    """The rows of a comma-separated file with a header line, which must name the `columns`.

    Columns beyond the end of a row are blank.
    """
    rows = records(path, ",")
    header = next(rows, [])
    for column in columns:
        if column not in header:
            raise CrossRayError(f"{path} has no column {column!r}; use the file as distributed.")
    for row in rows:
        cells = Cells(zip_longest(header, row[: len(header)], fillvalue=""))
        if len(row) != len(header):
            cells.fault = f"{len(row)} cells where the header has {len(header)}"
        yield cells


def records(path: Path, delimiter: str) -> Iterator[list[str]]:
    """The rows of a file of cells that are not blank."""
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        raise CrossRayError(
            f"{path} is no table near line {reader.line_num} ({error}); use the file as "
            "distributed."
        ) from None


def numeric(name: str) -> tuple[str | tuple[int, str], ...]:
    """A key that sorts names by the numbers in them: `im2` before `im10`."""
    parts = _DIGITS.split(name)
    return tuple(_by_value(part) if at % 2 else part for at, part in enumerate(parts))


def _by_value(digits: str) -> tuple[int, str]:
    value = digits.lstrip("0")
    return len(value), value


def integer(cell: str) -> int | None:
    """The number that a cell holds, None where it is no integer of up to 18 digits."""
    return int(cell) if cell.isdecimal() and len(cell) <= 18 else None


def counted(found: int, published: int, what: str) -> list[str]:
    """A note for the manifest: how many there are, and how many were published."""
    if found == published:
        return [f"found {found:,} {what}, as published"]
    return [f"found {found:,} {what}; the set is published with {published:,}"]


def unmatched(annotated: Iterable[Any], known: Iterable[Any], what: str) -> list[str]:
    """A note for the manifest on annotations of what is not there."""
    others = set(annotated).difference(known)
    return [f"{len(others):,} {what} are not among the rows"] if others else []


def broken(item_id: str, reason: Reason, detail: str) -> Row:
    """A row, or a line that belongs to no row, that `listed` hands on to be rejected."""
    return {"item_id": item_id, "rejected": [reason, detail]}


def is_broken(row: Row) -> bool:
    """Whether `broken` made the row."""
    return "rejected" in row


def in_units(rows: list[Row]) -> list[dict[str, Any]]:
    """The units of a plan, `UNIT_ROWS` rows each."""
    return [{"rows": rows[at : at + UNIT_ROWS]} for at in range(0, len(rows), UNIT_ROWS)]


def listed(rows: list[Row], images: Path, licence: str, notes: Sequence[str] = ()) -> Plan:
    """The plan of a set whose rows are all known.

    Rows hold the fields of `PairRow`; `image` is a name within `images`, or None.
    """
    reader = ListedReader(str(images), licence)
    return Plan(in_units(rows), len(rows), reader, (f"licence: {licence}", *notes))


@dataclass(frozen=True)
class ListedReader:
    """Makes pairs of listed rows, inside a worker."""

    images: str
    licence: str

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The rows of a unit."""
        for row in unit["rows"]:
            yield row["item_id"], row

    def row(self, raw: Row) -> PairRow:
        """The pair; the image is read later. Raises `Rejected`."""
        if is_broken(raw):
            raise Rejected(*raw["rejected"])
        image = None if raw.get("image") is None else ImageFile(self.images, raw["image"])
        meta = {"licence": self.licence, **raw.get("meta", {})}
        return cast(PairRow, {**raw, "image": image, "meta": meta})
