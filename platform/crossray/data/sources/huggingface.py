"""Image-text sets as the Hugging Face hub lays them out: Parquet or Arrow files."""

from __future__ import annotations

import glob
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from tyro.conf import arg

from crossray.core.errors import CrossRayError
from crossray.data.images import ImageFile
from crossray.data.rejection import Rejected
from crossray.data.schema import PairRow
from crossray.data.sentences import as_document
from crossray.data.sources.columns import names
from crossray.data.sources.source import Plan, Source
from crossray.data.splits import parse_split

_BATCH_ROWS = 16
_SUFFIXES = (".parquet", ".arrow")
_STRINGS = (pa.string(), pa.large_string())


@dataclass(frozen=True)
class HuggingFaceSource(Source):
    """Parquet or Arrow files as the Hugging Face hub lays them out.

    The split is read from the file names (`data/train-00000-of-00002.parquet`) or their folders;
    for files that name none it is drawn.

    Attributes:
        path: a folder, a glob, a file, or the id of a data set on the hub.
        image_column: column of images: structs of `bytes` and `path`, or bytes. A path is sought
            beside its file.
        text_columns: columns of texts, comma-separated: strings or lists of strings.
        document: the text columns are the sections of a report, named after their columns, and
            are split into sentences.
        id_column: column of the item's id; without it, `<split>-<row>`.
        label_column: column of the item's labels: strings, numbers of classes that the file names,
            or lists of either.
    """

    name: ClassVar[str] = "huggingface"

    path: Annotated[str, arg(metavar="PATH_OR_ID")]
    image_column: str = "image"
    text_columns: str = "text"
    document: bool = False
    id_column: str | None = None
    label_column: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """A local path; the id of a hub data set belongs to the identity."""
        return ("path",) if self._local() else ()

    def plan(self) -> Plan:
        """Read the footers of all files."""
        files = self._local() or self._download()
        units: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        for split, file in files:
            for part, rows in enumerate(self._parts(file)):
                units.append(
                    {"file": file, "part": part, "split": split, "first": counts[split or "row"]}
                )
                counts[split or "row"] += rows
        classes = _class_names(files[0][1], self.label_column) if self.label_column else []
        return Plan(units, counts.total(), HuggingFaceReader(self, classes))

    def columns(self) -> list[str]:
        """The names of the columns that are read."""
        optional = filter(None, (self.image_column, self.id_column, self.label_column))
        return list(dict.fromkeys([*optional, *names(self.text_columns)]))

    def _local(self) -> list[tuple[str | None, str]]:
        path = Path(self.path)
        base = path if path.is_dir() else path.parent
        pattern = f"{glob.escape(self.path)}/**/*" if path.is_dir() else self.path
        found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - folders may be wild, too
        files = sorted(Path(file) for file in found if file.endswith(_SUFFIXES))
        return [(_split_of(os.path.relpath(file, base)), str(file.absolute())) for file in files]

    def _download(self) -> list[tuple[str | None, str]]:
        missing = f"there is no Parquet or Arrow file at {self.path}"
        if Path(self.path).is_absolute() or self.path.startswith(".") or self.path.count("/") > 1:
            raise CrossRayError(f"{missing}; give a folder, a glob or the id of a hub data set.")
        import datasets  # only needed for the hub, and slow to import

        try:
            parts = datasets.load_dataset(self.path)
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CrossRayError(
                f"{missing}, and the hub did not give a data set of that name ({reason}); "
                "check the id and the network, or download it and give its folder."
            ) from None
        return [
            (parse_split(split), cached["filename"])
            for split, part in parts.items()
            for cached in part.cache_files
        ]

    def _parts(self, file: str) -> list[int]:
        """Rows of every row group or record batch; checks that the columns are there."""
        try:
            if file.endswith(".parquet"):
                footer = pq.ParquetFile(file)
                schema = footer.schema_arrow
                groups = range(footer.num_row_groups)
                rows = [footer.metadata.row_group(group).num_rows for group in groups]
            else:
                schema, batches = _open_arrow(file)
                rows = [batch.num_rows for batch in batches]
        except (OSError, pa.ArrowException) as error:
            raise CrossRayError(
                f"{file} cannot be read ({' '.join(str(error).split())[:200]}); "
                "download it again or take it out of the folder."
            ) from None
        if missing := [name for name in self.columns() if name not in schema.names]:
            raise CrossRayError(
                f"{file} has no column {missing[0]!r}; its columns are {', '.join(schema.names)}."
            )
        return rows


@dataclass(frozen=True)
class HuggingFaceReader:
    """Reads row groups and record batches, inside a worker."""

    source: HuggingFaceSource
    classes: list[str]

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The rows of one row group, with strings still as bytes."""
        file = unit["file"]
        index = unit["first"]
        for batch in _batches(file, unit["part"], self.source.columns()):
            columns = {field.name: _raw(batch[field.name]) for field in batch.schema}
            for at in range(batch.num_rows):
                raw = {name: values[at].as_py() for name, values in columns.items()}
                default = f"{unit['split'] or 'row'}-{index}"
                yield f"{Path(file).name} row {index}", (default, unit["split"], file, raw)
                index += 1

    def row(self, raw: tuple[str, str | None, str, dict[str, Any]]) -> PairRow:
        """The pair of a row; raises `Rejected`."""
        default, split, file, cell = raw
        source = self.source
        pair = PairRow(item_id=default, split=split)
        if source.id_column:
            pair["item_id"] = "".join(_strings(cell[source.id_column]))
        if source.image_column:
            pair["image"] = _image(cell[source.image_column], str(Path(file).parent))
        if source.label_column:
            labels = [label for label in _strings(cell[source.label_column]) if label]
            pair["labels"] = _named(labels, self.classes) if self.classes else labels
        columns = names(source.text_columns)
        parts = {name: _strings(cell[name]) for name in columns}
        if source.document:
            joined = {name: "\n\n".join(filter(None, texts)) for name, texts in parts.items()}
            pair["texts"], pair["sections"] = as_document(joined)
        else:
            pair["texts"] = [text for texts in parts.values() for text in texts]
        if columns and not pair["texts"]:
            pair["texts"] = [""]
        return pair


def _split_of(name: str) -> str | None:
    """The split in a file name such as `data/train-00000-of-00002.parquet`, or in its folders."""
    *folders, file = Path(name).parts
    for word in (Path(file).stem.split("-")[0], *reversed(folders)):
        if (split := parse_split(word)) is not None:
            return split
    return None


def _class_names(file: str, column: str) -> list[str]:
    """The names of the classes that the hub's note in `file` gives for `column`, if any."""
    if file.endswith(".parquet"):
        metadata = pq.read_schema(file).metadata
    else:
        metadata = _open_arrow(file)[0].metadata
    try:
        feature = json.loads((metadata or {})[b"huggingface"])["info"]["features"][column]
        while not isinstance(feature, dict) or "names" not in feature:  # lists of classes
            feature = feature[0] if isinstance(feature, list) else feature["feature"]
        return [str(name) for name in feature["names"]]
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _named(numbers: list[str], classes: list[str]) -> list[str]:
    """The names of classes by number; -1 stands for no class."""
    try:
        found = [int(number) for number in numbers]
    except ValueError:
        raise Rejected("malformed row", f"the class {numbers} is no number") from None
    if any(not -1 <= number < len(classes) for number in found):
        raise Rejected("malformed row", f"classes {found} where the file names {len(classes)}")
    return [classes[number] for number in found if number >= 0]


def _open_arrow(file: str) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and batches of a memory-mapped Arrow stream (what the hub writes) or Arrow file."""
    source = pa.memory_map(file)
    try:
        stream = pa.ipc.open_stream(source)
        return stream.schema, iter(stream)
    except pa.ArrowInvalid:
        source.seek(0)
        whole = pa.ipc.open_file(source)
        batches = (whole.get_batch(index) for index in range(whole.num_record_batches))
        return whole.schema, batches


def _batches(file: str, part: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A row group or record batch of `file`, a few rows at a time."""
    if file.endswith(".parquet"):
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield from parquet.iter_batches(_BATCH_ROWS, row_groups=[part], columns=columns)
        return
    _, batches = _open_arrow(file)
    yield next(islice(batches, part, None)).select(columns)


def _raw(column: pa.Array) -> pa.Array:
    """The column with strings as bytes, so that a wrong encoding costs one row, not the batch."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _raw(column.dictionary_decode())
    if kind in _STRINGS:
        return column.cast(pa.large_binary())
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and kind.value_type in _STRINGS:
        return column.cast(pa.large_list(pa.large_binary()))
    if pa.types.is_struct(kind):
        children = [_raw(child) for child in column.flatten()]
        return pa.StructArray.from_arrays(children, kind.names, mask=column.is_null())
    return column


def _strings(cell: Any) -> list[str]:
    """The text or texts of a cell, stripped; numbers are written out, nulls are blank."""
    cells = cell if isinstance(cell, list) else [cell]
    try:
        return [
            (value.decode("utf-8") if isinstance(value, bytes) else str(value)).strip()
            for value in ("" if value is None else value for value in cells)
        ]
    except UnicodeDecodeError as error:
        raise Rejected("not UTF-8", f"byte {error.object[error.start]:#04x}") from None


def _image(cell: Any, folder: str) -> bytes | ImageFile:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if isinstance(data, bytes):
        return data
    path = cell.get("path") if isinstance(cell, dict) else None
    if path is None:
        raise Rejected("missing image", "the image is null")
    return ImageFile(folder, "".join(_strings(path)))
