"""Representations of items, from which a model scores pairs, kept as Arrow.

A representation is some arrays of one item by name. Floats are kept in half. A column holds one
array a row, as lists within lists, so that the file says all dimensions; only the first may differ
between rows. Files are mapped into memory: a row costs what is read of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError

Parts = dict[str, NDArray[Any]]
Keep = Literal["vectors", "representations"]


def to_batch(rows: Sequence[Parts]) -> pa.RecordBatch:
    """One row a representation; all of them have the same names.

    Raises:
        CrossRayError: a number that is not finite in half.
    """
    return pa.record_batch({name: _column(name, [row[name] for row in rows]) for name in rows[0]})


def parts_of(table: pa.Table, row: int) -> Parts:
    """The representation of a row, its floats in half and mapped."""
    return {name: _array(table[name][row]) for name in table.column_names}


def stacked(rows: Sequence[Parts]) -> Parts:
    """Representations as one batch; shorter arrays end in zeros."""
    return {name: _padded([row[name] for row in rows]) for name in rows[0]}


@contextmanager
def writing(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatchWriter]:
    """A new Arrow file of such rows."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        yield writer


def reading(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, mapped into memory."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            yield file.get_batch(number)


def map_representations(path: Path) -> pa.Table:
    """The rows of an Arrow file, mapped into memory, not read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _column(name: str, arrays: Sequence[NDArray[Any]]) -> pa.Array:
    some = arrays[0]
    flat = np.concatenate([array.ravel() for array in arrays])
    if np.issubdtype(flat.dtype, np.floating):
        with np.errstate(over="ignore"):
            flat = flat.astype(np.float16)
        if not np.isfinite(flat).all():
            raise CrossRayError(
                f"the representation's {name!r} holds a number that is not finite in half "
                "precision; check the model, or keep vectors only."
            )
    column = pa.array(flat)
    if some.ndim == 0:
        return column
    for size in reversed(some.shape[1:]):
        column = pa.FixedSizeListArray.from_arrays(column, size)
    ends = np.cumsum([0, *(len(array) for array in arrays)])
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), column)


def _array(scalar: pa.Scalar) -> NDArray[Any]:
    if not isinstance(scalar, pa.LargeListScalar):
        return np.array(scalar.as_py(), scalar.type.to_pandas_dtype())
    values, shape = scalar.values, [-1]
    while pa.types.is_fixed_size_list(values.type):
        shape.append(values.type.list_size)
        values = values.flatten()
    array: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(shape)
    return array


def _padded(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    some = arrays[0]
    if some.ndim == 0:
        return np.array(arrays)
    longest = max(len(array) for array in arrays)
    batch = np.zeros((len(arrays), longest, *some.shape[1:]), some.dtype)
    for row, array in zip(batch, arrays, strict=True):
        row[: len(array)] = array
    return batch
