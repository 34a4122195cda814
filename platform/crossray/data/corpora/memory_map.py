"""Arrow files that processes of a machine share through memory mapping."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from crossray.core.artifacts import cache_dir


def cached_table(key: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """The rows of `batches` as a memory-mapped table, written once a machine under `key`.

    `batches` is read only when the file is not there yet. Two processes that write at the same
    time write the same bytes; the last rename wins.
    """
    path = cache_dir() / "arrow" / f"{key}.arrow"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{key}-")
        os.close(handle)
        try:
            with pa.OSFile(partial, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            Path(partial).rename(path)
        finally:
            Path(partial).unlink(missing_ok=True)
    return map_table(path)


def map_table(path: Path) -> pa.Table:
    """The rows of an Arrow file, mapped into memory, not read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
