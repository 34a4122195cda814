"""What importers of published sets share: finding the files, reading them, listing the rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from crossray.core.errors import CrossRayError
from crossray.data.images import ImageFile
from crossray.data.rejection import Reason, Rejected
from crossray.data.schema import PairRow
from crossray.data.sources.source import UNIT_ROWS, Plan

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


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a file, without a byte order mark; a name in `.gz` is decompressed."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise CrossRayError(f"{path} is not UTF-8 text; use the file as distributed.") from None
    except (OSError, EOFError) as error:
        raise CrossRayError(
            f"{path} cannot be read ({error}); use the file as distributed."
        ) from None


def lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file that are not blank, stripped."""
    # Not `splitlines`: it also breaks at characters that captions contain.
    return [line.strip() for line in read_text(path).split("\n") if line.strip()]


def read_json(path: Path) -> Any:
    """The value in a JSON file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise CrossRayError(f"{path} is not JSON ({error}); use the file as distributed.") from None


def table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a comma-separated file with a header line, which must name the `columns`."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    for column in columns:
        if column not in (reader.fieldnames or ()):
            raise CrossRayError(f"{path} has no column {column!r}; use the file as distributed.")
    yield from reader


def numeric(name: str) -> tuple[str | int, ...]:
    """A key that sorts names by the numbers in them: `im2` before `im10`."""
    return tuple(int(part) if at % 2 else part for at, part in enumerate(_DIGITS.split(name)))


def counted(found: int, published: int, what: str) -> list[str]:
    """A note for the manifest: how many there are, and how many were published."""
    if found == published:
        return [f"found {found:,} {what}, as published"]
    return [f"found {found:,} {what}; the set is published with {published:,}"]


def broken(item_id: str, reason: Reason, detail: str) -> Row:
    """A row that `listed` hands on to be counted as rejected."""
    return {"item_id": item_id, "rejected": [reason, detail]}


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
        if "rejected" in raw:
            raise Rejected(*raw["rejected"])
        image = None if raw.get("image") is None else ImageFile(self.images, raw["image"])
        meta = {"licence": self.licence, **raw.get("meta", {})}
        return cast(PairRow, {**raw, "image": image, "meta": meta})
