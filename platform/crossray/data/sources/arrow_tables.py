"""Parquet and Arrow files: their rows, and which columns hold texts, images, ids or labels.

Rows are read a few at a time. A column name such as `sentences.raw` is the field of a struct, also
of the structs of a list.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from crossray.core.errors import CrossRayError

SUFFIXES = (".parquet", ".arrow")
_BATCH_ROWS = 16  # that are read at a time
_OPEN = 8  # parts at most

RowT = TypeVar("RowT")
ColumnRole = Literal["image", "text", "id", "label", "split"]
_WANTED: dict[ColumnRole, str] = {
    "image": "bytes, a path, or a struct of bytes and path",
    "text": "a string or a list of strings",
    "id": "a string or a whole number",
    "label": "a string, a list of strings, or numbers of classes that the file names",
    "split": "a string, a whole number, or the number of a class that the file names",
}
_OTHERWISE: dict[ColumnRole, str] = {
    "image": "give a column of one image a row with --image-column",
    "text": "give a column of texts with --text-columns",
    "id": "give a column of ids with --id-column",
    "label": "give a column of names with --label-column, or make it a `ClassLabel` of the "
    "datasets library, which names its classes",
    "split": "give a column of splits with --split-column",
}


@dataclass(frozen=True)
class TypedColumn:
    """A column, or a field in it, of one file; `classes` are the names of its numbers."""

    column: str
    fields: tuple[str, ...]
    classes: tuple[str, ...]

    def value(self, cell: Any) -> Any:
        """What a cell of the column, as one value, holds for this field."""
        for name in self.fields:
            if isinstance(cell, list):
                cell = [each[name] for each in cell if each is not None]
            elif cell is not None:
                cell = cell[name]
        return cell


def find_column(schema: pa.Schema, name: str, role: ColumnRole, file: str) -> TypedColumn:
    """The column that `name` names in the schema of `file`.

    Raises `CrossRayError` when there is none, and when its type is not one for its role.
    """
    column, fields = _path(schema, name)
    if schema.names.count(column) > 1:
        raise CrossRayError(
            f"{file} has the column {column!r} twice; give one of them another name."
        )
    kind = schema.field(column).type if column else None
    for field in fields:
        kind = _field(kind, field)
    if kind is None:
        raise CrossRayError(
            f"{file} has no column {name!r}; its columns are {', '.join(schema.names)[:500]}."
        )
    classes = _classes(schema, [column, *fields])
    if not _suits(kind, role, bool(classes)):
        nested = [
            f"{name}{path}"
            for path, inner in _nested(kind)
            if _suits(inner, role, bool(_classes(schema, f"{name}{path}".split("."))))
        ]
        remedy = f"take a field of it: {', '.join(nested)[:300]}" if nested else _OTHERWISE[role]
        raise CrossRayError(
            f"column {name!r} of {file} is {_spelt(kind)}, not {_WANTED[role]}; {remedy}."
        )
    return TypedColumn(column, tuple(fields), classes)


def _path(schema: pa.Schema, name: str) -> tuple[str, list[str]]:
    """The longest start of `name` that is a column, and the names of fields that follow it."""
    words = name.split(".")
    for count in range(len(words), 0, -1):
        if (column := ".".join(words[:count])) in schema.names:
            return column, words[count:]
    return "", []


def _field(kind: pa.DataType | None, name: str) -> pa.DataType | None:
    """The type of a field of a struct; of the structs of a list, the list of its types."""
    if kind is None:
        return None
    if _is_list(kind):
        inner = _field(kind.value_type, name)
        return None if inner is None else pa.list_(inner)
    if kinds.is_struct(kind) and kind.get_field_index(name) >= 0:
        return kind.field(name).type
    return None


def _nested(kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """The names, each with a dot before it, and types of all fields within a type."""
    struct = kind
    while _is_list(struct):
        struct = struct.value_type
    for field in struct if kinds.is_struct(struct) else ():
        inner = _field(kind, field.name)
        if inner is not None:
            yield f".{field.name}", inner
            for path, deeper in _nested(inner):
                yield f".{field.name}{path}", deeper


def _suits(kind: pa.DataType, role: ColumnRole, named: bool) -> bool:
    single = kind.value_type if _is_list(kind) and role in ("text", "label") else kind
    if kinds.is_dictionary(single):
        single = single.value_type
    if kinds.is_null(single) or _is_string(single):
        return True
    if role == "image":
        return _is_bytes(single) or (kinds.is_struct(single) and _is_picture(single))
    number = kinds.is_integer(single)
    return number and (role in ("id", "split") or (role == "label" and named))


def _is_picture(kind: pa.StructType) -> bool:
    """Whether a struct is what the datasets library makes of an image: its bytes or its path."""
    right = {"bytes": _is_bytes, "path": _is_string}
    found = [(right[field.name], field.type) for field in kind if field.name in right]
    return bool(found) and all(kinds.is_null(each) or is_right(each) for is_right, each in found)


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_list(kind)
        or kinds.is_large_list(kind)
        or kinds.is_fixed_size_list(kind)
        or kinds.is_list_view(kind)
        or kinds.is_large_list_view(kind)
    )


def _is_string(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        kinds.is_binary(kind)
        or kinds.is_large_binary(kind)
        or kinds.is_fixed_size_binary(kind)
        or kinds.is_binary_view(kind)
    )


def _spelt(kind: pa.DataType) -> str:
    """The type in Arrow's words, without the names that Parquet gives to the items of lists."""
    text = str(kind).replace("<element: ", "<").replace("<item: ", "<")
    return text if len(text) <= 200 else f"{text[:200]}..."


def _classes(schema: pa.Schema, path: list[str]) -> tuple[str, ...]:
    """The names of classes that the hub's note in the schema gives for a column or field."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        for name in path:
            feature = _item(feature)[name]
        return tuple(str(name) for name in _item(feature)["names"])
    except (KeyError, IndexError, TypeError, ValueError):
        return ()


def _item(feature: Any) -> Any:
    """What a list of the note is of, in any of the spellings that the hub has had."""
    while isinstance(feature, list) or (
        isinstance(feature, dict)
        and isinstance(feature.get("feature"), dict | list)
        and "_type" in feature
    ):
        feature = feature[0] if isinstance(feature, list) else feature["feature"]
    return feature


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


class ForwardReader(Generic[RowT]):
    """Rows by their number in a part; reading on is cheap, reading back begins the part again."""

    def __init__(self, read: Callable[[str], Iterator[RowT]]) -> None:
        """`read` gives the rows of a part from its first on."""
        self._read = read
        self._open: dict[str, tuple[int, Iterator[RowT]]] = {}

    def rows(self, part: str, start: int, count: int) -> list[RowT]:
        """`count` rows of a part from row `start` on."""
        if part not in self._open and len(self._open) == _OPEN:
            self._open.clear()
        passed, rows = self._open.get(part, (0, None))
        if rows is None or passed > start:
            passed, rows = 0, self._read(part)
        self._open[part] = (start + count, rows)
        return list(islice(rows, start - passed, start - passed + count))
