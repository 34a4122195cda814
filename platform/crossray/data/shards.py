"""Parquet payload of a pairs artifact, written in bounded memory."""

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crossray.data.schema import PAIR_SCHEMA, REJECTED_FILE, REJECTED_SCHEMA

GROUP_ROWS = 256
GROUP_BYTES = 32 << 20
SHARD_BYTES = 256 << 20
_DICTIONARY = ["group_id", "split", "labels.list.element", "meta.key_value.key"]


class PairWriter:
    """Writes `part-00000.parquet`, ... under a folder.

    Where row groups and shards end depends on the rows alone, never on how they arrived, so that
    the same rows give the same bytes. A group holds up to `GROUP_ROWS` rows or `GROUP_BYTES` of
    images, a shard about `SHARD_BYTES`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: pq.ParquetWriter | None = None
        self._shards = 0
        self._shard_bytes = 0
        self._pending: list[pa.Table] = []
        self._rows = 0
        self._bytes = 0

    def __enter__(self) -> "PairWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is None and self._rows:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Append rows of `PAIR_SCHEMA`."""
        sizes = pc.fill_null(pc.binary_length(table["image"]), 0).to_pylist()
        start = 0
        for position, size in enumerate(sizes, start=1):
            self._rows += 1
            self._bytes += size
            if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
                self._pending.append(table.slice(start, position - start))
                self._flush()
                start = position
        if start < len(table):
            self._pending.append(table.slice(start))

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._folder / f"part-{self._shards:05d}.parquet",
                PAIR_SCHEMA,
                compression="zstd",
                use_dictionary=_DICTIONARY,
                write_statistics=["item_id", "group_id", "split"],
            )
        group = pa.concat_tables(self._pending).combine_chunks()
        self._writer.write_table(group, row_group_size=len(group))
        self._shard_bytes += self._bytes
        self._pending, self._rows, self._bytes = [], 0, 0
        if self._shard_bytes >= SHARD_BYTES:
            self._writer.close()
            self._writer = None
            self._shards += 1
            self._shard_bytes = 0


class RejectedWriter:
    """Writes `rejected.parquet`, also when nothing was rejected."""

    def __init__(self, folder: Path) -> None:
        self._writer = pq.ParquetWriter(folder / REJECTED_FILE, REJECTED_SCHEMA, compression="zstd")
        self._pending: list[dict[str, str | None]] = []

    def __enter__(self) -> "RejectedWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, row: dict[str, str | None]) -> None:
        """Append one row of `REJECTED_SCHEMA`."""
        self._pending.append(row)
        if len(self._pending) >= 4096:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._pending, schema=REJECTED_SCHEMA))
        self._pending = []
