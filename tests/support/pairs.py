"""Pairs artifacts as one table."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from crossray.core.artifacts import Artifact
from crossray.data.schema import PAIR_SCHEMA, iter_pairs
from crossray.data.splits import Split


def read_pairs(
    artifact: Artifact, columns: Sequence[str] | None = None, split: Split | None = None
) -> pa.Table:
    """The rows of `iter_pairs` in memory."""
    wanted = list(columns) if columns is not None else PAIR_SCHEMA.names
    empty = pa.schema([PAIR_SCHEMA.field(name) for name in wanted]).empty_table()
    return pa.concat_tables([empty, *iter_pairs(artifact, wanted, split)])
