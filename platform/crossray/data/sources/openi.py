"""Open-i Indiana University chest X-rays: reports as XML, or as a table, and PNG images."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from crossray.core.errors import CrossRayError
from crossray.data.sentences import as_document
from crossray.data.sources.layout import Layout, Row, broken, counted, listed, numeric, table
from crossray.data.sources.report_headings import section_of
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import assign_split

REPORTS = "ecgen-radiology"
IMAGES = "NLMCXR_png"
TABLES = ("indiana_reports.csv", "indiana_projections.csv")  # the repackaging
TABLE_IMAGES = ("images_normalized", "images")
_SUFFIXES = (".png", ".dcm")  # its images are called 1_IM-0001-4001.dcm.png
SECTIONS = ("findings", "impression")
REPORT_COUNT = 3_955
IMAGE_COUNT = 7_470
_FRACTIONS = (0.7, 0.1, 0.2)
_LICENCE = "CC BY-NC-ND as stated for the collection; name the Indiana Network for Patient Care"
_REMEDY = (
    f"unpack NLMCXR_reports.tgz, which gives {REPORTS}/, and NLMCXR_png.tgz into {IMAGES}/, "
    "both from https://openi.nlm.nih.gov/faq, or give the repackaging with "
    f"{TABLES[0]}, {TABLES[1]} and {TABLE_IMAGES[0]}/"
)


@dataclass(frozen=True)
class OpeniSource(FolderSource):
    """Chest films with their reports; the views of one report are a study and a group.

    Demner-Fushman et al.: Preparing a collection of radiology examinations for distribution and
    retrieval, JAMIA 23 (2016). Labels are the major MeSH terms without their qualifiers; `normal`
    means no finding. Reports without an image are items of text alone. There is no official
    split: reports are drawn 70/10/20 by a fixed seed.

    Attributes:
        folder: what holds ecgen-radiology/ and NLMCXR_png/, or the repackaging with
            indiana_reports.csv, indiana_projections.csv and the folder of images.
    """

    name: ClassVar[str] = "openi"

    def plan(self) -> Plan:
        """Read all reports."""
        layout = Layout(self.folder, _REMEDY)
        by_report, images = _from_tables(layout) or _from_xml(layout)
        rows = [row for report in by_report for row in report]
        films = sum(row.get("image") is not None for row in rows)
        notes = [
            *counted(len(by_report), REPORT_COUNT, "reports"),
            *counted(films, IMAGE_COUNT, "images"),
        ]
        return listed(rows, images, _LICENCE, notes)


def _from_xml(layout: Layout) -> tuple[list[list[Row]], Path]:
    """The rows of every report of the official layout, and the folder of images."""
    folder, images = layout.find(REPORTS), layout.find(IMAGES)
    reports = sorted(folder.glob("*.xml"), key=lambda path: numeric(path.name))
    if not reports:
        raise CrossRayError(f"{folder} has no report such as 1.xml; {_REMEDY}.")
    return [_rows(path) for path in reports], images


def _from_tables(layout: Layout) -> tuple[list[list[Row]], Path] | None:
    """The rows of every report of the repackaging, and the folder of images; None without one."""
    path = layout.find_if_any(TABLES[0])
    if path is None:
        return None
    reports = _read_tables(path, layout.find(TABLES[1]))
    images = layout.find(*TABLE_IMAGES)
    rows = []
    for report in reports:
        films = [
            {
                "item_id": _film_id(report["number"], name),
                "image": name,
                "meta": {"view": view} if view else {},
            }
            for name, view in report["films"]
        ]
        rows.append(
            _report_rows(f"CXR{report['number']}", report["sections"], report["terms"], films)
        )
    return rows, images


def _read_tables(reports: Path, projections: Path) -> list[Row]:
    """By number: each report's `number`, `sections`, `terms`, and its `films` as name and view."""
    films: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for cells in table(projections, ("uid", "filename", "projection")):
        films[cells["uid"].strip()].append((cells["filename"].strip(), cells["projection"].strip()))
    columns = ("uid", "MeSH", "findings", "impression")
    return [
        {
            "number": uid,
            "sections": {name: cells[name] for name in ("findings", "impression")},
            "terms": cells["MeSH"].split(";"),
            "films": films.get(uid, []),
        }
        for cells in sorted(table(reports, columns), key=lambda cells: numeric(cells["uid"]))
        if (uid := cells["uid"].strip())
    ]


def _film_id(number: str, name: str) -> str:
    """The image's id in the official layout: `CXR1_1_IM-0001-4001`."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return f"CXR{number}_{name}"


def _rows(path: Path) -> list[Row]:
    """The rows of an XML report."""
    try:
        report = parse(path).getroot()
    except (ParseError, DefusedXmlException, LookupError, OSError, ValueError) as error:
        detail = f"{path.name} is not XML: {' '.join(str(error).split())[:100]}"
        return [broken(path.stem, "malformed row", detail)]
    assert report is not None
    identifier = report.find(".//uId")
    study = (identifier.get("id") if identifier is not None else None) or f"CXR{path.stem}"
    parts: dict[str, str] = {}
    for text in report.iter("AbstractText"):
        name = section_of(text.get("Label") or "")
        if name is not None:
            parts[name] = f"{parts.get(name, '')}\n\n{''.join(text.itertext())}"
    terms = [major.text or "" for major in report.iter("major")]
    films = [
        {
            "item_id": film.get("id", ""),
            "image": f"{film.get('id', '')}.png",
            "meta": _caption(film),
        }
        for film in report.iter("parentImage")
    ]
    return _report_rows(study, parts, terms, films)


def _report_rows(
    study: str, parts: dict[str, str], terms: list[str], films: list[Row]
) -> list[Row]:
    """One row an image of the report, or one without an image."""
    texts, sections = as_document({name: parts.get(name, "") for name in SECTIONS})
    row: Row = {
        "group_id": study,
        "split": assign_split(study, 0, _FRACTIONS),
        "texts": texts,
        "sections": sections,
        "labels": _labels(terms),
    }
    films = films or [{"item_id": study, "meta": {}}]
    return [{**row, **film, "meta": {"study_id": study, **film["meta"]}} for film in films]


def _labels(terms: list[str]) -> list[str]:
    """The major terms, `Cardiomegaly/mild` as `Cardiomegaly`."""
    names = (term.split("/")[0].strip() for term in terms)
    return [name for name in dict.fromkeys(names) if name]


def _caption(film: Element) -> dict[str, str]:
    caption = " ".join((film.findtext("caption") or "").split())
    return {"caption": caption} if caption else {}
