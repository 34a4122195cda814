"""Parquet and Arrow files: their schemas, and their rows a few at a time."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from crossray.core.errors import CrossRayError

SUFFIXES = (".parquet", ".arrow")
_BATCH_ROWS = 16
_OPEN = 8

Row = TypeVar("Row")


def survey(file: str) -> tuple[pa.Schema, list[int]]:
    """The schema and the rows of every row group or record batch; raises `CrossRayError`."""
    try:
        if file.endswith(".parquet"):
            footer = pq.ParquetFile(file)
            groups = range(footer.num_row_groups)
            return footer.schema_arrow, [
                footer.metadata.row_group(group).num_rows for group in groups
            ]
        schema, batches = _open_arrow(file)
        return schema, [batch.num_rows for batch in batches]
    except (OSError, pa.ArrowException) as error:
        raise CrossRayError(
            f"{file} cannot be read ({' '.join(str(error).split())[:200]}); "
            "download it again or take it out of the folder."
        ) from None


def read_schema(file: str) -> pa.Schema:
    """The schema of a file."""
    return pq.read_schema(file) if file.endswith(".parquet") else _open_arrow(file)[0]


def read_batches(file: str, part: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A row group or record batch of `file`, a few rows at a time."""
    if file.endswith(".parquet"):
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield from parquet.iter_batches(_BATCH_ROWS, row_groups=[part], columns=columns)
        return
    _, batches = _open_arrow(file)
    yield next(islice(batches, part, None)).select(columns)


def _open_arrow(file: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and batches of a memory-mapped Arrow stream (what the hub writes) or Arrow file."""
    source = pa.memory_map(file)
    try:
        stream = pa.ipc.open_stream(source)
        return stream.schema, iter(stream)
    except pa.ArrowInvalid:
        source.seek(0)
        reader = pa.ipc.open_file(source)
        batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        return reader.schema, batches


class ForwardReader(Generic[Row]):
    """Rows by their number in a part; reading on is cheap, reading back begins the part again."""

    def __init__(self, read: Callable[[str], Iterator[Row]]) -> None:
        """`read` gives the rows of a part from its first on."""
        self._read = read
        self._open: dict[str, tuple[int, Iterator[Row]]] = {}

    def rows(self, part: str, start: int, count: int) -> list[Row]:
        """`count` rows of a part from row `start` on."""
        if part not in self._open and len(self._open) == _OPEN:
            self._open.clear()
        passed, rows = self._open.get(part, (0, None))
        if rows is None or passed > start:
            passed, rows = 0, self._read(part)
        self._open[part] = (start + count, rows)
        return list(islice(rows, start - passed, start - passed + count))
