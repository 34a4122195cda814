"""Pairs artifacts as one table, and made of rows without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.data.ingest.counts import IngestCounts
from crossray.data.phantom import DISCLAIMER, PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA, iter_pairs
from crossray.data.shards import PairWriter
from crossray.data.split import Split


def read_pairs(
    artifact: Artifact, columns: Sequence[str] | None = None, split: Split | None = None
) -> pa.Table:
    """The rows of `iter_pairs` in memory."""
    wanted = list(columns) if columns is not None else PAIR_SCHEMA.names
    empty = pa.schema([PAIR_SCHEMA.field(name) for name in wanted]).empty_table()
    return pa.concat_tables([empty, *iter_pairs(artifact, wanted, split)])


def write_pairs(uri: str, rows: Sequence[dict[str, Any]], notes: Sequence[str] = ()) -> Artifact:
    """Publish rows of the pair schema as they are."""
    table, counts = pa.Table.from_pylist(list(rows), schema=PAIR_SCHEMA), IngestCounts()
    with create(uri, "pairs", {"rows": len(rows)}) as draft:
        with PairWriter(draft.path) as writer:
            writer.write(table)
        for row in rows:
            counts.admit(row["item_id"], row["group_id"], row["split"])
        counts.count(table)
        draft.metrics.update(counts.metrics())
        draft.notes.extend(notes)
    return open_artifact(uri, "pairs")


def phantom_pairs(uri: str, items: int, seed: int = 3, **options: Any) -> Artifact:
    """Publish films of the phantom set."""
    config = PhantomConfig(items=items, seed=seed, **options)
    return write_pairs(uri, list(generate(config, 0, items)), [DISCLAIMER])
