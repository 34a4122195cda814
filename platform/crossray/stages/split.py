"""Split pairs again: from a `pairs` to a `pairs` artifact, one row group at a time.

Ids, groups and labels of all items are in memory, images and texts of one row group. Order is kept,
and the same input gives the same bytes and therefore the same artifact id.
"""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.console import Console

from crossray.core.artifacts import Artifact, check_writable, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data.ingest.counts import IngestCounts
from crossray.data.schema import PAIR_SCHEMA, iter_pairs
from crossray.data.shards import PairWriter
from crossray.data.split import SPLITS
from crossray.data.splits.items import read_items
from crossray.data.splits.splitters import Fate, SplitAssignment, Splitter

TEXT_HALF = "-text"
_COPIES = np.zeros(len(Fate), dtype=np.int64)
_COPIES[[Fate.UNCHANGED, Fate.WITHOUT_TEXT, Fate.UNPAIRED]] = 1, 1, 2
_METRICS = {
    "left_out": Fate.LEFT_OUT, "without_text": Fate.WITHOUT_TEXT, "apart": Fate.UNPAIRED,
}  # fmt: skip


def resplit(pairs: Artifact, splitter: Splitter, out_uri: str) -> Artifact:
    """Write the items of `pairs` to `out_uri`, split by `splitter`.

    The text of an unpaired item becomes a separate item right after it, whose id ends with
    `TEXT_HALF`. The counts go to stderr and into the manifest. Raises `CrossRayError` when the
    output cannot be written, for what the splitter cannot make of these pairs, when a split would
    lose all of its items, and when pairs have a group in two splits; nothing is left at `out_uri`
    then.
    """
    began = time.monotonic()
    check_writable(out_uri)
    if splitter.seed < 0:
        raise CrossRayError(f"--seed {splitter.seed} is negative: give 0 or more.")
    assignment = splitter.split(read_items(pairs))
    _require_splits(assignment, pairs)
    counts = IngestCounts()
    with create(out_uri, "pairs", splitter.identity(assignment), (pairs,)) as draft:
        with PairWriter(draft.path) as writer:
            start = 0
            for table in iter_pairs(pairs):
                rows = slice(start, start + len(table))
                items = _assigned(table, assignment.split_N[rows], assignment.fate_N[rows])
                _enter(items, counts, pairs)
                writer.write(items)
                start = rows.stop
        Console(stderr=True).print(counts.table())
        draft.metrics.update(
            counts.metrics(), **_fates(assignment), seconds=round(time.monotonic() - began, 1)
        )
        draft.notes.extend([*pairs.manifest.notes, assignment.note])
    return open_artifact(out_uri, "pairs")


def _require_splits(assignment: SplitAssignment, pairs: Artifact) -> None:
    for split in SPLITS:
        fate_M = assignment.fate_N[assignment.split_N == split]
        if fate_M.size and (fate_M == Fate.LEFT_OUT).all():
            raise CrossRayError(
                f"every {split} item of {pairs.uri} would be left out: hold out fewer or rarer "
                "labels, or give more pairs."
            )


def _assigned(table: pa.Table, split_N: NDArray[np.str_], fate_N: NDArray[np.int64]) -> pa.Table:
    """The items that become of a table's rows."""
    row_M = np.repeat(np.arange(len(table)), _COPIES[fate_N])
    fate_M = fate_N[row_M]
    second_M = np.append(False, row_M[1:] == row_M[:-1])[: len(row_M)]
    unpaired_M = fate_M == Fate.UNPAIRED
    rows = table.take(row_M)
    named = pc.binary_join_element_wise(rows["item_id"], TEXT_HALF, "")
    ids = pc.if_else(pa.array(second_M), named, rows["item_id"])
    changed = {
        "item_id": ids,
        "split": pa.array(split_N[row_M].tolist(), pa.string()),
        "image": pc.if_else(pa.array(second_M), pa.scalar(None, pa.binary()), rows["image"]),
    }
    silent_M = (fate_M == Fate.WITHOUT_TEXT) | (unpaired_M & ~second_M)
    for name in ("texts", "sections"):
        changed[name] = _emptied(rows, name, silent_M)
    for name in ("labels", "boxes"):
        changed[name] = _emptied(rows, name, unpaired_M)
    changed["masks"] = _emptied(rows, "masks", second_M)  # they belong to the image
    columns = [changed.get(name, rows[name]) for name in PAIR_SCHEMA.names]
    return pa.table(columns, names=PAIR_SCHEMA.names).cast(PAIR_SCHEMA)


def _emptied(rows: pa.Table, name: str, at_M: NDArray[np.bool_]) -> pa.ChunkedArray:
    return pc.if_else(pa.array(at_M), pa.scalar([], PAIR_SCHEMA.field(name).type), rows[name])


def _enter(items: pa.Table, counts: IngestCounts, pairs: Artifact) -> None:
    for row in items.select(["item_id", "group_id", "split"]).to_pylist():
        if verdict := counts.admit(row["item_id"], row["group_id"], row["split"]):
            reason, detail = verdict
            raise CrossRayError(
                f"the item {row['item_id']!r} of {pairs.uri} cannot be split ({reason}: {detail}); "
                "mend the pairs, or split them by groups first."
            )
    counts.count(items)


def _fates(assignment: SplitAssignment) -> dict[str, Any]:
    counts = {name: int((assignment.fate_N == fate).sum()) for name, fate in _METRICS.items()}
    return {name: count for name, count in counts.items() if count}
