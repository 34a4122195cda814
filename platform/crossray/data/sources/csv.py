"""A CSV table (UTF-8, header line, comma) with a folder of images."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar

from tyro.conf import UseAppendAction, arg

from crossray.core.errors import CrossRayError
from crossray.data.image_file import ImageFile
from crossray.data.missing_values import present
from crossray.data.rejection import Rejected
from crossray.data.schema import PairRow
from crossray.data.sentences import as_document
from crossray.data.sources.grouped_captions import REMEDY, Groups, joined_captions
from crossray.data.sources.source import MAX_CELL, UNIT_ROWS, Plan, Source, names
from crossray.data.sources.split_words import split_words

Record = tuple[int, int, list[str]]
Units = list[dict[str, Any]]


@dataclass(frozen=True)
class CsvSource(Source):
    """A CSV table in UTF-8 with a header line, one row an item, and a folder of images.

    A cell is missing where it is blank or holds what programs write for nothing (`NaN`, `None`,
    `N/A`).

    Attributes:
        table: the CSV file.
        images: folder of the images; without it the items have no image.
        text_columns: columns of texts, comma-separated; every filled cell is a separate caption.
            Without any the items have no text.
        image_column: column of the image's path within the folder.
        document: the text columns are the sections of a report, named after their columns, and
            are split into sentences.
        id_column: column of the item's id; without it, the image's path, else the line's number.
        group_captions: rows with one id are one item with the captions of all of them.
        group_column: column of the patient, case or photo, which never crosses a split; without
            it every item is a separate group.
        split_column: column that holds train, val or test; without it the split is drawn.
        split_map: what a word of the split column means, such as restval=train; `*` matches any
            characters.
        label_column: column of the item's labels.
        label_separator: what separates the labels of a cell.
        mask_columns: columns of paths within the folder of masks, each a picture of the image's
            size that is white where the structure of the column's name is, comma-separated.
        meta_columns: further columns to keep, comma-separated.
    """

    name: ClassVar[str] = "csv"

    table: Annotated[str, arg(metavar="TABLE")]
    images: str | None = None
    text_columns: str = ""
    image_column: str = "image"
    document: bool = False
    id_column: str | None = None
    group_captions: bool = False
    group_column: str | None = None
    split_column: str | None = None
    split_map: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="WORD=SPLIT")] = ()
    label_column: str | None = None
    label_separator: str = "|"
    mask_columns: str = ""
    meta_columns: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("table", "images")

    def plan(self) -> Plan:
        """Read the table once to find its rows; no cell is decoded yet."""
        if self.images is not None and not Path(self.images).is_dir():
            raise CrossRayError(f"there is no folder of images {self.images}; check --images.")
        try:
            with open(self.table, "rb") as stream:
                return self._survey(stream)
        except OSError as error:
            raise CrossRayError(
                f"the table {self.table} cannot be read ({error.strerror}); check the path."
            ) from None
        except csv.Error as error:
            raise CrossRayError(
                f"the table {self.table} is not well-formed CSV ({error}); "
                "check its quotes, or export it again as comma-separated UTF-8."
            ) from None

    def _survey(self, stream: BinaryIO) -> Plan:
        if stream.read(3) != b"\xef\xbb\xbf":  # the mark that spreadsheets write
            stream.seek(0)
        rows = csv_records(stream, 1)
        header = self._header(next(rows, None))
        if self.split_column is not None:
            rows = self._with_known_split(rows, header.index(self.split_column))
        units, count = self._grouped(rows, header) if self.group_captions else _one_by_one(rows)
        images = str(Path(self.images).resolve()) if self.images is not None else None
        reader = CsvReader(self, str(Path(self.table).resolve()), images, header)
        return Plan(units, count, reader, remedies={} if self.group_captions else REMEDY)

    def _grouped(self, rows: Iterator[Record], header: list[str]) -> tuple[Units, int]:
        """Units of items, each the runs of its rows (offset, line, length), and their number."""
        column = header.index(self.id_column or self.image_column)
        groups = Groups()
        for start, line, cells in rows:
            groups.add(_text(cells[column]) if column < len(cells) else "", start, line)
        items = groups.items
        starts = range(0, len(items), UNIT_ROWS)
        return [{"items": items[at : at + UNIT_ROWS]} for at in starts], len(items)

    def _with_known_split(self, rows: Iterator[Record], column: int) -> Iterator[Record]:
        """The rows; raises `CrossRayError` at their end where none of them has a known split."""
        words = split_words(self.split_map)
        unknown: list[str] = []
        known = False
        for start, line, cells in rows:
            if not known and column < len(cells):
                word = _text(cells[column])
                known = words.split(word) is not None
                unknown = [*unknown[:4], word[:40]]
            yield start, line, cells
        if unknown and not known:
            raise CrossRayError(
                f"no row of {self.table} has a split in column {self.split_column!r} (it holds "
                f"{', '.join(map(repr, unknown))}); name the column that holds train, val and test "
                "with --split-column, or say what its words mean with --split-map."
            )

    def _header(self, first: Record | None) -> list[str]:
        if first is None:
            raise CrossRayError(f"the table {self.table} is empty; give one with a header line.")
        try:
            header = [decode_text(cell).strip() for cell in first[2]]
        except Rejected:
            header = ["\0"]
        if any("\0" in name for name in header):
            raise CrossRayError(
                f"the table {self.table} is not UTF-8 text; export it as comma-separated UTF-8."
            )
        if self.mask_columns and not self.images:
            raise CrossRayError(
                f"--mask-columns {self.mask_columns} names masks of images; give their folder with "
                "--images."
            )
        if not (self.images or self.text_columns):
            raise CrossRayError(
                "neither --images nor --text-columns is given; give at least one of them."
            )
        if self.split_map and self.split_column is None:
            raise CrossRayError(
                f"--split-map {' '.join(self.split_map)} maps words of a column; name it with "
                "--split-column."
            )
        if self.group_captions and (self.document or not (self.id_column or self.images)):
            raise CrossRayError(
                "--group-captions joins the captions of rows with one id; name the column of ids "
                "with --id-column or give --images, and leave out --document."
            )
        for name in self.columns():
            if header.count(name) != 1:
                problem = (
                    f"has column {name!r} twice" if name in header else f"has no column {name!r}"
                )
                raise CrossRayError(
                    f"the table {self.table} {problem}; its columns are {', '.join(header)[:500]}."
                )
        return header

    def columns(self) -> list[str]:
        """The names of the columns that are read."""
        image = [self.image_column] if self.images is not None else []
        single = (self.id_column, self.group_column, self.split_column, self.label_column)
        return list(
            dict.fromkeys(
                [
                    *image,
                    *names(self.text_columns),
                    *filter(None, single),
                    *names(self.mask_columns),
                    *names(self.meta_columns),
                ]
            )
        )


@dataclass(frozen=True)
class CsvReader:
    """Reads rows of the table again, by offset, inside a worker."""

    source: CsvSource
    table: str
    images: str | None
    header: list[str]

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The cells of the rows of a unit's items, still undecoded."""
        with open(self.table, "rb") as stream:
            if "items" not in unit:
                for line, cells in _run(stream, unit["offset"], unit["line"], unit["rows"]):
                    yield f"line {line}", [(line, cells)]
                return
            for runs in unit["items"]:
                rows = [row for run in runs for row in _run(stream, *run)]
                yield f"line {rows[0][0]}", rows

    def row(self, raw: list[tuple[int, list[str]]]) -> PairRow:
        """The pair of the rows of an item; raises `Rejected`."""
        return joined_captions([(f"line {line}", self._pair(line, cells)) for line, cells in raw])

    def _pair(self, line: int, cells: list[str]) -> PairRow:
        source = self.source
        if len(cells) != len(self.header):
            raise Rejected(
                "malformed row", f"{len(cells)} cells where the header has {len(self.header)}"
            )
        bytes_of = dict(zip(self.header, cells, strict=True))
        cell = {name: present(decode_text(bytes_of[name])) for name in source.columns()}
        pair = PairRow(item_id=f"line-{line}")
        if self.images is not None:
            pair["image"] = ImageFile(self.images, cell[source.image_column])
            pair["item_id"] = cell[source.image_column]
            pair["masks"] = [
                {"name": name, "png": ImageFile(self.images, cell[name])}
                for name in names(source.mask_columns)
                if cell[name]
            ]
        if source.id_column:
            pair["item_id"] = cell[source.id_column]
        if source.group_column:
            pair["group_id"] = cell[source.group_column]
        if source.split_column:
            pair["split"] = split_words(source.split_map).cell(cell[source.split_column])
        if source.label_column:
            labels = map(present, cell[source.label_column].split(source.label_separator))
            pair["labels"] = [label for label in labels if label]
        parts = {name: cell[name] for name in names(source.text_columns)}
        if source.document:
            pair["texts"], pair["sections"] = as_document(parts)
        else:
            pair["texts"] = list(parts.values())
        if parts and not pair["texts"]:
            pair["texts"] = [""]
        pair["meta"] = {name: cell[name] for name in names(source.meta_columns) if cell[name]}
        return pair


def _one_by_one(rows: Iterator[Record]) -> tuple[Units, int]:
    """Units of rows that follow one another, each an item, and their number."""
    units: Units = []
    count = 0
    for start, line, _ in rows:
        if count % UNIT_ROWS == 0:
            units.append({"offset": start, "line": line, "rows": 0})
        units[-1]["rows"] += 1
        count += 1
    return units, count


def _run(stream: BinaryIO, offset: int, line: int, count: int) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of `count` rows from `offset` on."""
    stream.seek(offset)
    for _, number, cells in islice(csv_records(stream, line), count):
        yield number, cells


def _text(cell: str) -> str:
    """What a cell of `csv_records` says; "" for a missing value and for what is not UTF-8."""
    try:
        return present(decode_text(cell))
    except Rejected:
        return ""


def csv_records(stream: BinaryIO, line: int) -> Iterator[Record]:
    """Offset, line (counted from 1) and cells of every record from the position of `stream`.

    Cells hold one character a byte (Latin-1), so that a wrong encoding is judged cell by cell.
    """
    csv.field_size_limit(MAX_CELL)
    offset = stream.tell()
    consumed = 0

    def lines() -> Iterator[str]:
        nonlocal consumed
        for text in stream:
            consumed += len(text)
            yield text.decode("latin-1")

    reader = csv.reader(lines(), strict=True)
    start, first = offset, line
    for cells in reader:
        if cells:
            yield start, first, cells
        start, first = offset + consumed, line + reader.line_num


def decode_text(cell: str) -> str:
    """The text of a cell of `csv_records`; raises `Rejected` when it is not UTF-8."""
    try:
        return cell.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected(
            "not UTF-8", f"byte {error.object[error.start]:#04x} in {cell[:40]!r}"
        ) from None
