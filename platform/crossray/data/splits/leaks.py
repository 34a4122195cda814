"""Leaks: what a model saw in training and meets again in the test."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from crossray.core.errors import CrossRayError
from crossray.data.images.fingerprints import NEAR_BITS, fingerprint, nearest_fingerprints
from crossray.data.schema import text_entries
from crossray.data.split import SPLITS, Split

LeakKind = Literal["item id", "group", "text", "image"]
LEAK_COLUMNS = ("item_id", "group_id", "split", "image", "texts", "sections")
EXAMPLES = 3

_EXACT: tuple[LeakKind, ...] = ("item id", "group", "text")
_WORD = re.compile(r"\w+")
_Rows = NDArray[np.int64]
Selects = Callable[[str, Split], bool]


@dataclass(frozen=True)
class Leak:
    """What the items of two splits share.

    Attributes:
        kind: an equal item id, an equal group (patient), an equal text up to case, punctuation and
            white space, or images whose fingerprints differ in at most `NEAR_BITS` bits.
        splits: the earlier and the later of train, val and test.
        count: the items of the later split that have such a twin in the earlier one.
        examples: the first `EXAMPLES` of them: item id in the earlier and in the later split.
    """

    kind: LeakKind
    splits: tuple[Split, Split]
    count: int
    examples: tuple[tuple[str, str], ...]


@dataclass
class _Side:
    """What is remembered of a split: ids, 64-bit hashes and fingerprints, each with its row."""

    item_ids: list[str] = field(default_factory=list)
    keys: dict[LeakKind, array[int]] = field(
        default_factory=lambda: {kind: array("Q") for kind in _EXACT}
    )
    rows: dict[LeakKind, array[int]] = field(
        default_factory=lambda: {kind: array("q") for kind in (*_EXACT, "image")}
    )
    prints: bytearray = field(default_factory=bytearray)

    def add(self, kind: LeakKind, value: str) -> None:
        """Enter a value of the last item."""
        digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
        self.keys[kind].append(int.from_bytes(digest, "big"))
        self.rows[kind].append(len(self.item_ids) - 1)


def find_leaks(tables: Iterable[pa.Table], looks_at: Selects | None = None) -> list[Leak]:
    """Compare every split with every other; empty when nothing crosses them.

    `tables` hold the columns `LEAK_COLUMNS` of a pairs artifact, as `iter_pairs` gives them. One
    table is in memory at a time, beside ids, hashes and fingerprints; the comparisons of the last
    grow with the product of the splits' sizes. Twins within one split are no leak. Captions of a
    few words repeat by chance: the count says how often. `looks_at`, asked for the item id and the
    split of each image, says which are compared, by default all. Raises CrossRayError for an image
    that cannot be decoded.
    """
    sides: dict[str, _Side] = {split: _Side() for split in SPLITS}
    with ThreadPoolExecutor() as pool:
        for table in tables:
            _remember(table, sides, pool, looks_at)
    leaks = []
    for earlier, later in combinations(SPLITS, 2):
        for kind, pairs in _twins(sides[earlier], sides[later]):
            if pairs:
                examples = [
                    (sides[earlier].item_ids[first], sides[later].item_ids[second])
                    for second, first in list(pairs.items())[:EXAMPLES]
                ]
                leaks.append(Leak(kind, (earlier, later), len(pairs), tuple(examples)))
    return leaks


def leak_table(leaks: Iterable[Leak]) -> Table:
    """The leaks for the screen, one line a kind and pair of splits."""
    table = Table("what", "of", "is also in", "items", "for example")
    table.columns[3].justify = "right"
    for leak in leaks:
        examples = "\n".join(f"{later} = {earlier}" for earlier, later in leak.examples)
        earlier, later = leak.splits
        table.add_row(leak.kind, later, earlier, f"{leak.count:,}", Text(examples))
    return table


def normalised(text: str) -> str:
    """The words of a text in lower case, so that spacing and punctuation make no difference."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _remember(
    table: pa.Table,
    sides: dict[str, _Side],
    pool: ThreadPoolExecutor,
    looks_at: Selects | None,
) -> None:
    columns = [table[name].to_pylist() for name in LEAK_COLUMNS]
    item_ids, _, splits, images = columns[:4]
    if looks_at is not None:
        images = [
            image if image is not None and looks_at(item_id, split) else None
            for item_id, split, image in zip(item_ids, splits, images, strict=True)
        ]
    prints = pool.map(_fingerprint, item_ids, images)
    for (item_id, group_id, split, _, texts, sections), bits in zip(
        zip(*columns, strict=True), prints, strict=True
    ):
        side = sides[split]
        side.item_ids.append(item_id)
        side.add("item id", item_id)
        side.add("group", group_id)
        for sentences in text_entries(texts, sections):
            if words := normalised(" ".join(sentences)):
                side.add("text", words)
        if bits is not None:
            side.prints += bits.tobytes()
            side.rows["image"].append(len(side.item_ids) - 1)


def _fingerprint(item_id: str, image: bytes | None) -> NDArray[np.uint8] | None:
    try:
        return None if image is None else fingerprint(image)
    except CrossRayError as error:
        raise CrossRayError(f"the image of item {item_id!r} cannot be checked: {error}") from None


def _twins(earlier: _Side, later: _Side) -> Iterator[tuple[LeakKind, dict[int, int]]]:
    """For each kind the rows of the later split with a twin, and the twin's row in the earlier."""
    for kind in _EXACT:
        keys_N, rows_N = _arrays(earlier, kind)
        keys_Q, rows_Q = _arrays(later, kind)
        unique_N, first_N = np.unique(keys_N, return_index=True)
        hit_Q = np.isin(keys_Q, unique_N)
        twin_Q = first_N[np.searchsorted(unique_N, keys_Q[hit_Q])]
        yield kind, _by_row(rows_Q[hit_Q], rows_N[twin_Q])
    prints_N, prints_Q = (
        np.frombuffer(bytes(side.prints), dtype=np.uint8).reshape(len(side.rows["image"]), -1)
        if side.prints
        else None
        for side in (earlier, later)
    )
    if prints_N is not None and prints_Q is not None:
        bits_Q, nearest_Q = nearest_fingerprints(prints_Q, prints_N)
        near_Q = bits_Q <= NEAR_BITS
        rows_N, rows_Q = (np.asarray(side.rows["image"]) for side in (earlier, later))
        yield "image", _by_row(rows_Q[near_Q], rows_N[nearest_Q[near_Q]])


def _arrays(side: _Side, kind: LeakKind) -> tuple[NDArray[np.uint64], _Rows]:
    keys = np.asarray(side.keys[kind], dtype=np.uint64)
    return keys, np.asarray(side.rows[kind], dtype=np.int64)


def _by_row(rows_Q: _Rows, twin_Q: _Rows) -> dict[int, int]:
    """Each row once, with its first twin, in the order of the rows."""
    rows, first = np.unique(rows_Q, return_index=True)
    return dict(zip(rows.tolist(), twin_Q[first].tolist(), strict=True))
