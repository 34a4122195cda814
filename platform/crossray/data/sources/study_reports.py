"""Reports of studies, for their images: a folder of text files, or a CSV table."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crossray.core.errors import CrossRayError
from crossray.data.rejection import Rejected
from crossray.data.sources.csv import csv_records, decode_text
from crossray.data.sources.report_sections import has_headings, read_sections
from crossray.data.sources.source import names

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class FolderReports:
    """Text files `<study>.txt`, in UTF-8."""

    folder: str

    def parts(self, studies: Sequence[str]) -> dict[str, str]:
        """The sections of the report under the first of the names `studies` that has one.

        Raises `Rejected` when there is none or it is not UTF-8.
        """
        for study in studies:
            if not _NAME.fullmatch(study):  # it comes from a file's header and is not trusted
                continue
            try:
                return report_parts((Path(self.folder) / f"{study}.txt").read_bytes().decode())
            except UnicodeDecodeError as error:
                raise Rejected("not UTF-8", f"byte {error.object[error.start]:#04x}") from None
            except OSError:
                continue
        raise _missing()


@dataclass(frozen=True)
class TableReports:
    """A CSV table, read again by offset."""

    table: str
    header: list[str]
    columns: list[str]
    rows: dict[str, tuple[int, int]] = field(repr=False)

    def parts(self, studies: Sequence[str]) -> dict[str, str]:
        """The sections of the report under the first of the names `studies` that has one.

        Several columns are the sections, named after them; one column is a complete report. Raises
        `Rejected` when there is none or it is not UTF-8.
        """
        place = next((self.rows[study] for study in studies if study in self.rows), None)
        if place is None:
            raise _missing()
        with open(self.table, "rb") as stream:
            stream.seek(place[0])
            _, line, cells = next(csv_records(stream, place[1]))
        if len(cells) != len(self.header):
            detail = f"line {line} of the reports has {len(cells)} cells, not {len(self.header)}"
            raise Rejected("malformed row", detail)
        by_name = dict(zip(self.header, cells, strict=True))
        texts = {column: decode_text(by_name[column]) for column in self.columns}
        return texts if len(texts) > 1 else report_parts(next(iter(texts.values())))


Reports = FolderReports | TableReports


def open_reports(path: str, study_column: str, text_columns: str) -> tuple[Reports, list[str]]:
    """The reports at `path`, and notes on them for the manifest; raises `CrossRayError`."""
    if Path(path).is_dir():
        return FolderReports(str(Path(path).resolve())), []
    try:
        return _survey(path, study_column, names(text_columns))
    except OSError as error:
        raise CrossRayError(
            f"the reports {path} cannot be read ({error.strerror}); give a folder of text files "
            "or a CSV table."
        ) from None
    except (csv.Error, Rejected) as error:
        raise CrossRayError(
            f"the reports {path} are not a CSV table in UTF-8 ({error}); export them again."
        ) from None


def _survey(path: str, study_column: str, columns: list[str]) -> tuple[TableReports, list[str]]:
    """The place of the first row of every study in the table."""
    places: dict[str, tuple[int, int]] = {}
    repeated = 0
    with open(path, "rb") as stream:
        if stream.read(3) != b"\xef\xbb\xbf":  # the mark that spreadsheets write
            stream.seek(0)
        rows = csv_records(stream, 1)
        _, _, first = next(rows, (0, 0, []))
        header = [decode_text(cell).strip() for cell in first]
        for name in (study_column, *columns):
            if name not in header or not columns:
                raise CrossRayError(
                    f"the reports {path} have no column {name!r} (they have "
                    f"{', '.join(header)[:300]}); name it with --study-column or --text-columns."
                )
        at = header.index(study_column)
        for offset, line, cells in rows:
            study = decode_text(cells[at]).strip() if at < len(cells) else ""
            repeated += study in places
            places.setdefault(study, (offset, line))
    places.pop("", None)
    notes = [f"{repeated:,} rows of reports repeat a study and were left out"] if repeated else []
    return TableReports(str(Path(path).resolve()), header, columns, places), notes


def report_parts(report: str) -> dict[str, str]:
    """Text by section.

    Headings may be in any case; a report without headings is a `body`.
    """
    if not has_headings(report):
        body = report.removeprefix("\ufeff").strip()
        return {"body": body} if body else {}
    return read_sections(report, any_case=True)


def _missing() -> Rejected:
    return Rejected("missing text", "no report has the study's instance UID or accession number")
