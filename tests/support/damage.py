"""Seeded damage to one field of one row of a data set's files."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from support.images import png
from support.small_sets import SmallSet

MARK = 8_675_309  # a number that no row may show as a text
_PICTURES = (".jpg", ".png", ".dcm")
_LONG = 200_000
_TEXTS = (
    b"", b" ", b"\xe9", b"caf\xe9", b"\xed\xa0\xbd", b"\0", b"a\0b", b"x" * _LONG, b"NaN", b"-1",
    b"1e999", b"9" * 5_000, b"../../secret", b"/etc/passwd", b"\xe2\x80\x8b", b"\xef\xbb\xbf",
    b"\x1b[2J", b"\xf0\x9f\x98\x80", b"null", b"0.5", b"#", b"1", b"\xc2\xb2", b"%s{0}",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, MARK, 1.5, float("nan"), float("inf"), -float("inf"), 10**400, "", " ", "x",
    "\ud83d", "\udce9", "\0", "\u200b", "x" * _LONG, "../../secret", "@BYTE@", [], {}, [[MARK]],
    {"a": MARK}, [None], [float("nan")] * 4, ["1", "2", "3", "4"], [0, 0, -5, -5], [1e308] * 4,
)  # fmt: skip
_CELLS = (
    None, b"", b" ", b"\xff\xfe", b"\xed\xa0\xbd", b"\0", b"\xe2\x80\x8b", b"x" * _LONG, b"../x",
)  # fmt: skip


@contextmanager
def damaged(small: SmallSet, seed: int) -> Iterator[str]:
    """The set with one damage, which is told, and whole again afterwards."""
    rng = random.Random(seed)
    files = [path for path in sorted(small.folder.rglob("*")) if path.is_file()]
    pictures = [path for path in files if path.suffix in _PICTURES]
    others = [path for path in files if path not in pictures and path.name not in small.describing]
    path = rng.choice(pictures if pictures and rng.random() < 0.2 else others)
    whole = path.read_bytes()
    own = path.suffix in _PICTURES or (small.own is not None and path.match(small.own))
    aside: Path | None = None
    try:
        if own and rng.random() < (0.5 if path.suffix in _PICTURES else 0.2):
            told, aside = _lost(path, rng, small.listed)
        elif path.suffix in _PICTURES:
            told = _spoil(path, whole, rng)
        else:
            told = _field(path, whole, rng)
        yield f"{path.relative_to(small.folder)}: {told}"
    finally:
        if aside is not None and aside.exists():
            aside.unlink()
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)


def _lost(path: Path, rng: random.Random, listed: bool) -> tuple[str, Path | None]:
    """A file that is gone, has a name of another encoding or is a folder."""
    kind = rng.choice(
        ("Latin-1", "newline") if listed else ("gone", "folder", "Latin-1", "newline")
    )
    if kind in ("gone", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
        return kind, None
    stem = os.fsencode(path.stem)
    name = stem + {"Latin-1": b"\xe9", "newline": b"\n"}[kind] + os.fsencode(path.suffix)
    aside = path.with_name(os.fsdecode(name))
    path.rename(aside)
    return kind, aside


def _spoil(path: Path, whole: bytes, rng: random.Random) -> str:
    """An image file of other bytes."""
    flips = bytearray(whole)
    for _ in range(3):
        flips[rng.randrange(min(len(whole), 1_000))] = rng.randrange(256)
    kinds = {
        "empty": b"", "cut": whole[: len(whole) // 2], "flipped": bytes(flips),
        "huge": png(40_000, 40_000), "page": b"<html>404</html>", "zeros": bytes(len(whole)),
    }  # fmt: skip
    kind = rng.choice(sorted(kinds))
    path.write_bytes(kinds[kind])
    return kind


def _field(path: Path, whole: bytes, rng: random.Random) -> str:
    if path.suffix == ".json":
        return _json(path, whole, rng)
    if path.suffix == ".parquet":
        return _parquet(path, rng)
    return damage_text(path, whole, rng)


def damage_text(path: Path, whole: bytes, rng: random.Random) -> str:
    """A field of a text file, replaced; what it was and is."""
    start, stop = rng.choice(_spans(path.suffix, whole))
    # A blank last line is the end of a file.
    value = rng.choice(_TEXTS if whole[stop:].strip() else _TEXTS[2:])
    if path.suffix == ".csv" and b"," in value:
        value = b'"' + value + b'"'
    path.write_bytes(whole[:start] + value + whole[stop:])
    return f"{whole[start:stop]!r:.40} at {start} becomes {value!r:.40}"


def _spans(suffix: str, whole: bytes) -> list[tuple[int, int]]:
    """Where the fields of a text file are."""
    if suffix in (".xml", ".svg", ".eng"):
        found = re.finditer(rb'>([^<>\n]+)<|="((?!http)[^"]*)"', whole)
        return [match.span(match.lastindex or 0) for match in found]
    spans = [match.span() for match in re.finditer(rb"[^\t\r\n,]+", whole)]
    if suffix == ".csv":
        header = whole.index(b"\n")
        spans = [match.span() for match in re.finditer(rb"(?<=[\t\n,])[^\t\r\n,]*", whole)]
        spans = [span for span in spans if header < span[0] < len(whole)]
    return spans


def _json(path: Path, whole: bytes, rng: random.Random) -> str:
    """A value within one of the lists of the file, replaced or taken out."""
    content = json.loads(whole)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    for entries in content.values():
        if isinstance(entries, list):
            walk(entries)
    node, key = rng.choice(places)
    before, value = node[key], rng.choice(_VALUES)
    if isinstance(node, dict) and rng.random() < 0.1:
        del node[key]
        told = f"{key} is taken out"
    else:
        node[key] = value
        told = f"{before!r:.40} ({key}) becomes {value!r:.40}"
    path.write_bytes(json.dumps(content).encode().replace(b"@BYTE@", b"caf\xe9"))
    return told


def _parquet(path: Path, rng: random.Random) -> str:
    """A cell of other bytes, which need not be UTF-8, or null."""
    table = pq.read_table(path)
    name, row = rng.choice(table.column_names), rng.randrange(len(table))
    kind, cells, value = table.schema.field(name).type, table[name].to_pylist(), rng.choice(_CELLS)
    if pa.types.is_struct(kind):
        cells[row] = rng.choice(
            (None, {"bytes": value, "path": None}, {"bytes": None, "path": ".."})
        )
        column = pa.array(cells, kind)
    elif pa.types.is_list(kind):
        texts = [[text.encode() for text in texts] for texts in cells]
        texts[row][rng.randrange(3)] = value
        values = _strings([text for own in texts for text in own])
        column = pa.ListArray.from_arrays([3 * at for at in range(len(cells) + 1)], values)
    else:
        encoded = [cell.encode() for cell in cells]
        encoded[row] = value
        column = _strings(encoded)
    pq.write_table(table.set_column(table.column_names.index(name), name, column), path)
    return f"{name} of row {row} becomes {value!r:.40}"


def _strings(values: list[bytes | None]) -> pa.Array:
    """Strings of any bytes."""
    held = pa.array(values, pa.binary())
    valid, offsets, data = held.buffers()
    return pa.StringArray.from_buffers(len(held), offsets, data, valid, held.null_count)
