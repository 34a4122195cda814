"""Leaks: what is both in training and in the test.

The check of a pairs artifact is done once a machine, and bounded in what it decodes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from crossray.core.artifacts import Artifact, cache_dir
from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.data.images.fingerprints import NEAR_BITS, fingerprint, nearest_fingerprints
from crossray.data.schema import iter_pairs, text_entries
from crossray.data.split import SPLITS, Split

LeakKind = Literal["item id", "group", "text", "image"]
LEAK_COLUMNS = ("item_id", "group_id", "split", "image", "texts", "sections")
EXAMPLES = 3
IMAGES = 100_000  # of a larger set a sample of as many is compared
_VERSION = 1

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
class _SplitContents:
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
    table is in memory at a time, with all ids, hashes and fingerprints; the comparisons of
    fingerprints grow with the product of the splits' sizes. Twins within one split are no leak.
    Captions of a few words repeat by chance: the count says how often. `looks_at` decides by item
    id and split which images are compared, by default all. Raises CrossRayError for an image that
    cannot be decoded.
    """
    contents: dict[str, _SplitContents] = {split: _SplitContents() for split in SPLITS}
    with ThreadPoolExecutor() as pool:
        for table in tables:
            _remember(table, contents, pool, looks_at)
    leaks = []
    for earlier, later in combinations(SPLITS, 2):
        for kind, pairs in _twins(contents[earlier], contents[later]):
            if pairs:
                examples = [
                    (contents[earlier].item_ids[first], contents[later].item_ids[second])
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
    contents: dict[str, _SplitContents],
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
        content = contents[split]
        content.item_ids.append(item_id)
        content.add("item id", item_id)
        content.add("group", group_id)
        for sentences in text_entries(texts, sections):
            if words := normalised(" ".join(sentences)):
                content.add("text", words)
        if bits is not None:
            content.prints += bits.tobytes()
            content.rows["image"].append(len(content.item_ids) - 1)


def _fingerprint(item_id: str, image: bytes | None) -> NDArray[np.uint8] | None:
    try:
        return None if image is None else fingerprint(image)
    except CrossRayError as error:
        raise CrossRayError(f"the image of item {item_id!r} cannot be checked: {error}") from None


def _twins(
    earlier: _SplitContents, later: _SplitContents
) -> Iterator[tuple[LeakKind, dict[int, int]]]:
    """For each kind the rows of the later split with a twin, and the twin's row in the earlier."""
    for kind in _EXACT:
        keys_N, rows_N = _arrays(earlier, kind)
        keys_Q, rows_Q = _arrays(later, kind)
        unique_N, first_N = np.unique(keys_N, return_index=True)
        hit_Q = np.isin(keys_Q, unique_N)
        twin_Q = first_N[np.searchsorted(unique_N, keys_Q[hit_Q])]
        yield kind, _by_row(rows_Q[hit_Q], rows_N[twin_Q])
    prints_N, prints_Q = (
        np.frombuffer(bytes(content.prints), dtype=np.uint8).reshape(len(content.rows["image"]), -1)
        if content.prints
        else None
        for content in (earlier, later)
    )
    if prints_N is not None and prints_Q is not None:
        bits_Q, nearest_Q = nearest_fingerprints(prints_Q, prints_N)
        near_Q = bits_Q <= NEAR_BITS
        rows_N, rows_Q = (np.asarray(content.rows["image"]) for content in (earlier, later))
        yield "image", _by_row(rows_Q[near_Q], rows_N[nearest_Q[near_Q]])


def _arrays(content: _SplitContents, kind: LeakKind) -> tuple[NDArray[np.uint64], _Rows]:
    keys = np.asarray(content.keys[kind], dtype=np.uint64)
    return keys, np.asarray(content.rows[kind], dtype=np.int64)


def _by_row(rows_Q: _Rows, twin_Q: _Rows) -> dict[int, int]:
    """Each row once, with its first twin, in the order of the rows."""
    rows, first = np.unique(rows_Q, return_index=True)
    return dict(zip(rows.tolist(), twin_Q[first].tolist(), strict=True))


@dataclass(frozen=True)
class LeakCheck:
    """What leaks, and what was looked at.

    Attributes:
        leaks: what `find_leaks` gives.
        images: the images that were compared; ids, groups and texts always are, all of them.
        of_images: the images of the set.
    """

    leaks: tuple[Leak, ...]
    images: int
    of_images: int


@dataclass
class _Sample:
    """Says which images are compared and counts them: by a hash, so the same ones every time."""

    shares: dict[Split, float]
    taken: int = 0

    def __call__(self, item_id: str, split: Split) -> bool:
        digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
        chosen = int.from_bytes(digest, "big") < self.shares[split] * 2**64
        self.taken += chosen
        return chosen


def check_leaks(pairs: Artifact, split: Split, images: int = IMAGES) -> LeakCheck:
    """Look for leaks between the splits of a pairs artifact.

    A set of more than `images` items has a sample of about as many compared: up to half of them
    from `split`, the rest from the other splits. The result is kept on this machine under the
    artifact's id, whose content never changes. Raises CrossRayError for an image that cannot be
    decoded.
    """
    sample = _Sample(_shares(pairs.manifest.metrics["splits"], split, images))
    choice = "-".join(f"{share:.6f}" for share in sample.shares.values())
    path = cache_dir() / "leaks" / f"{pairs.id}-{_VERSION}-{NEAR_BITS}-{choice}.json"
    with suppress(OSError, ValueError, CrossRayError):  # not there, or not complete
        return from_dict(LeakCheck, json.loads(path.read_text(encoding="utf-8")))
    leaks = find_leaks(iter_pairs(pairs, LEAK_COLUMNS), sample)
    check = LeakCheck(tuple(leaks), sample.taken, pairs.manifest.metrics["images"])
    _keep(path, json.dumps(asdict(check)))
    return check


def _shares(items: dict[Split, int], split: Split, images: int) -> dict[Split, float]:
    """The share of each split's images that is compared."""
    if sum(items.values()) <= images:
        return dict.fromkeys(items, 1.0)
    tested = min(items[split], images // 2)
    others = sum(items.values()) - items[split]
    shares = {
        True: tested / max(1, items[split]),
        False: min(1.0, (images - tested) / max(1, others)),
    }
    return {name: shares[name == split] for name in items}


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".leaks-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(partial).rename(path)
