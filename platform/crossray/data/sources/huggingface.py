"""Image-text sets as the Hugging Face hub lays them out: Parquet or Arrow files."""

import glob
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from tyro.conf import UseAppendAction, arg

from crossray.core.errors import CrossRayError
from crossray.data.image_file import ImageFile
from crossray.data.missing_values import is_missing, present
from crossray.data.rejection import Rejected
from crossray.data.schema import PairRow
from crossray.data.sentences import as_document
from crossray.data.sources import arrow_tables
from crossray.data.sources.arrow_tables import ColumnRole, TypedColumn, find_column
from crossray.data.sources.grouped_captions import REMEDY, Groups, joined_captions
from crossray.data.sources.source import Plan, Source, names
from crossray.data.sources.split_words import split_words
from crossray.data.split import Split


@dataclass(frozen=True)
class HuggingFaceSource(Source):
    """Parquet or Arrow files as the Hugging Face hub lays them out.

    The split is read from the file names (`data/train-00000-of-00002.parquet`) or their folders;
    where none of them suggests a split it is drawn. A column may be a field of structs, such as
    `sentences.raw`.

    Attributes:
        path: a folder, a glob, a file, or the id of a data set on the hub.
        image_column: column of images: structs of `bytes` and `path`, bytes, or paths. A path is
            searched next to its file, then in the folder that was given.
        text_columns: columns of texts, comma-separated: strings or lists of strings.
        document: the text columns are the sections of a report, named after their columns, and
            are split into sentences.
        id_column: column of the item's id; without it, `<split>-<row>`.
        group_captions: rows with one id are one item with the captions of all of them.
        split_column: column of the item's split, in place of the names of files.
        split_map: what a word for a split means, in a file's name, a folder's or the split column,
            such as restval=train; `*` matches any characters.
        label_column: column of the item's labels: strings, numbers of classes that the file names,
            or lists of either.
    """

    name: ClassVar[str] = "huggingface"

    path: Annotated[str, arg(metavar="PATH_OR_ID")]
    image_column: str = "image"
    text_columns: str = "text"
    document: bool = False
    id_column: str | None = None
    group_captions: bool = False
    split_column: str | None = None
    split_map: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="WORD=SPLIT")] = ()
    label_column: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """A local path; the id of a hub data set belongs to the identity."""
        return ("path",) if self._local()[1] else ()

    def plan(self) -> Plan:
        """Read the footers of all files, and the ids where the rows of one are one item."""
        if self.group_captions and (self.document or self.id_column is None):
            raise CrossRayError(
                "--group-captions joins the captions of rows with one id; name the column of ids "
                "with --id-column, and leave out --document."
            )
        folder, files = self._local()
        root, name = str(folder.absolute()), folder.resolve().name
        if not files:
            root, name, files = "", "", self._download()
        splits: list[Split | None] = [None] * len(files)
        if self.split_column is None:
            splits = split_words(self.split_map).files([path for path, _ in files], name)
        units: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        for (_, file), split in zip(files, splits, strict=True):
            schema, parts = arrow_tables.survey(file)
            self.columns(schema, file)
            for part, rows in enumerate(parts):
                units.append(
                    {"file": file, "part": part, "split": split, "first": counts[split or "row"]}
                )
                counts[split or "row"] += rows
        reader = HuggingFaceReader(self, root)
        if not self.group_captions:
            return Plan(units, counts.total(), reader, remedies=REMEDY if self.id_column else {})
        items = reader.items(units)
        by_part = groupby(items, key=lambda runs: runs[0][0])
        grouped = [_grouped(list(runs), units) for _, runs in by_part]
        return Plan(grouped, len(items), reader)

    def columns(self, schema: pa.Schema, file: str) -> dict[str, TypedColumn]:
        """The columns that are read, by the names that the user gave them.

        Raises `CrossRayError` for one that `file` does not have, or not with a type of its use.
        """
        asked: list[tuple[str | None, ColumnRole]] = [
            (self.image_column, "image"),
            *((name, "text") for name in names(self.text_columns)),
            (self.id_column, "id"),
            (self.split_column, "split"),
            (self.label_column, "label"),
        ]
        return {name: find_column(schema, name, role, file) for name, role in asked if name}

    def _local(self) -> tuple[Path, list[tuple[str, str]]]:
        """The folder that was given, and the files with their names in it."""
        path = Path(self.path)
        folder, pattern = path, f"{glob.escape(self.path)}/**/*"
        if path.is_file():
            folder, pattern = path.parent, glob.escape(self.path)
        elif not path.is_dir():
            pattern = self.path
            while glob.has_magic(str(folder)):
                folder = folder.parent
        found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - folders may be wild, too
        files = sorted(Path(file) for file in found if file.endswith(arrow_tables.SUFFIXES))
        return folder, [(os.path.relpath(file, folder), str(file.absolute())) for file in files]

    def _download(self) -> list[tuple[str, str]]:
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
            (f"{split}.arrow", cached["filename"])
            for split, part in parts.items()
            for cached in part.cache_files
        ]


@dataclass(frozen=True)
class HuggingFaceReader:
    """Reads row groups and record batches, inside a worker.

    `folder` is the one that was given, which may hold images; "" for a data set of the hub.
    """

    source: HuggingFaceSource
    folder: str

    def items(self, parts: list[dict[str, Any]]) -> list[list[list[int]]]:
        """The rows of every id: runs of number of the part, first row in it, and length."""
        groups = Groups()
        column = self.source.id_column or ""
        for number, part in enumerate(parts):
            for at, (_, (*_, cells)) in enumerate(self._rows(part, only=column)):
                cell = cells[column]
                item_id = "" if isinstance(cell, Rejected) else "".join(_strings(cell))
                groups.add(item_id, number, at)
            groups.end_run()
        return groups.items

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The rows of every item of a unit: cells as Python values, or why they are none."""
        if "items" not in unit:
            for where, row in self._rows(unit):
                yield where, [(where, row)]
            return
        forward = arrow_tables.ForwardReader(lambda number: self._rows(unit["parts"][number]))
        for runs in unit["items"]:
            rows = [row for number, *run in runs for row in forward.rows(str(number), *run)]
            yield rows[0][0], rows

    def _rows(self, part: dict[str, Any], only: str | None = None) -> Iterator[tuple[str, Any]]:
        """The rows of one row group, with `only` one of the columns."""
        file, index = part["file"], part["first"]
        columns = self.source.columns(arrow_tables.read_schema(file), file)
        if only is not None:
            columns = {only: columns[only]}
        read = list(dict.fromkeys(column.column for column in columns.values()))
        for batch in arrow_tables.read_batches(file, part["part"], read):
            for at in range(batch.num_rows):
                cells = {name: _cell(column, batch, at) for name, column in columns.items()}
                default = f"{part['split'] or 'row'}-{index}"
                yield f"{Path(file).name} row {index}", (default, part, columns, cells)
                index += 1

    def row(self, raw: list[tuple[str, Any]]) -> PairRow:
        """The pair of an item's rows; raises `Rejected`."""
        return joined_captions([(where, self._pair(*row)) for where, row in raw])

    def _pair(
        self,
        default: str,
        part: dict[str, Any],
        columns: dict[str, TypedColumn],
        cells: dict[str, Any],
    ) -> PairRow:
        source = self.source
        for cell in cells.values():
            if isinstance(cell, Rejected):
                raise cell
        pair = PairRow(item_id=default, split=part["split"])
        if source.id_column:
            pair["item_id"] = "".join(_strings(cells[source.id_column]))
        if source.split_column:
            word = "".join(_named(source.split_column, columns, cells))
            pair["split"] = split_words(source.split_map).cell(word)
        if source.image_column:
            pair["image"] = self._image(cells[source.image_column], part["file"])
        if source.label_column:
            pair["labels"] = _named(source.label_column, columns, cells)
        parts = {name: _strings(cells[name]) for name in names(source.text_columns)}
        if source.document:
            document = {name: "\n\n".join(filter(None, texts)) for name, texts in parts.items()}
            pair["texts"], pair["sections"] = as_document(document)
        else:
            pair["texts"] = [text for texts in parts.values() for text in texts]
        if parts and not pair["texts"]:
            pair["texts"] = [""]
        return pair

    def _image(self, cell: Any, file: str) -> bytes | ImageFile:
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        path = cell.get("path") if isinstance(cell, dict) else cell
        if isinstance(data, bytes):
            return data
        if path is None or is_missing(path):
            raise Rejected("missing image", "the image is null")
        home = Path(file).parent
        root = self.folder or str(home)
        if os.path.isfile(home / path):  # noqa: PTH113 - Path.is_file raises for a name too long
            path = os.path.relpath(home / path, root)
        return ImageFile(root, path)


def _grouped(items: list[list[list[int]]], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """A unit of items, with the parts that their rows are in."""
    used = {number for runs in items for number, *_ in runs}
    return {"items": items, "parts": {str(number): parts[number] for number in sorted(used)}}


def _cell(column: TypedColumn, batch: pa.RecordBatch, at: int) -> Any:
    """The value of a cell, or the `Rejected` that its row is to raise."""
    try:
        return column.value(batch[column.column][at].as_py())
    except UnicodeDecodeError as error:
        return Rejected("not UTF-8", f"byte {error.object[error.start]:#04x}")
    except ValueError as error:
        return Rejected("malformed row", str(error)[:200])


def _strings(cell: Any) -> list[str]:
    """The strings and numbers of a cell, or of its list; blank where they are missing."""
    values = cell if isinstance(cell, list) else [cell]
    return ["" if value is None else present(str(value)) for value in values]


def _named(column: str, columns: dict[str, TypedColumn], cells: dict[str, Any]) -> list[str]:
    """The words of a cell, numbers of classes by their name; -1 means no class."""
    words = [word for word in _strings(cells[column]) if word]
    classes = columns[column].classes
    if not classes:
        return words
    try:
        found = [int(number) for number in words]
    except ValueError:
        raise Rejected("malformed row", f"the class {words} is no number") from None
    if any(not -1 <= number < len(classes) for number in found):
        raise Rejected("malformed row", f"classes {found} where the file names {len(classes)}")
    return [classes[number] for number in found if number >= 0]
