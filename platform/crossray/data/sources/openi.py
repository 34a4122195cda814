"""Open-i Indiana University chest X-rays: a folder of report XML and a folder of PNG images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from crossray.core.errors import CrossRayError
from crossray.data.sentences import as_document
from crossray.data.sources.layout import Layout, Row, broken, counted, listed, numeric
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.splits import assign_split

REPORTS = "ecgen-radiology"
IMAGES = "NLMCXR_png"
SECTIONS = ("findings", "impression")
REPORT_COUNT = 3_955
IMAGE_COUNT = 7_470
_FRACTIONS = (0.7, 0.1, 0.2)
_LICENCE = "CC BY-NC-ND as stated for the collection; name the Indiana Network for Patient Care"
_REMEDY = (
    f"unpack NLMCXR_reports.tgz, which gives {REPORTS}/, and NLMCXR_png.tgz into {IMAGES}/, "
    "both from https://openi.nlm.nih.gov/faq"
)


@dataclass(frozen=True)
class OpeniSource(FolderSource):
    """Chest films with their reports; the views of one report are a study and a group.

    Demner-Fushman et al.: Preparing a collection of radiology examinations for distribution and
    retrieval, JAMIA 23 (2016). Labels are the major MeSH terms without their qualifiers; `normal`
    stands for no finding. Reports without an image are items of text alone. There is no official
    split: reports are drawn 70/10/20 by a fixed seed.

    Attributes:
        folder: what holds the folder of reports and the folder of images.
    """

    name: ClassVar[str] = "openi"

    def plan(self) -> Plan:
        """Read all reports."""
        layout = Layout(self.folder, _REMEDY)
        folder, images = layout.find(REPORTS), layout.find(IMAGES)
        reports = sorted(folder.glob("*.xml"), key=lambda path: numeric(path.name))
        if not reports:
            raise CrossRayError(f"{folder} has no report such as 1.xml; {_REMEDY}.")
        rows = [row for path in reports for row in _rows(path)]
        films = sum(row.get("image") is not None for row in rows)
        notes = [
            *counted(len(reports), REPORT_COUNT, "reports"),
            *counted(films, IMAGE_COUNT, "images"),
        ]
        return listed(rows, images, _LICENCE, notes)


def _rows(path: Path) -> list[Row]:
    """One row an image of the report, or one without an image."""
    try:
        report = parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError) as error:
        detail = f"{path.name} is not XML: {' '.join(str(error).split())[:100]}"
        return [broken(path.stem, "malformed row", detail)]
    assert report is not None
    identifier = report.find(".//uId")
    study = (identifier.get("id") if identifier is not None else None) or f"CXR{path.stem}"
    parts = {
        (text.get("Label") or "").lower(): "".join(text.itertext())
        for text in report.iter("AbstractText")
    }
    texts, sections = as_document({name: parts.get(name, "") for name in SECTIONS})
    row: Row = {
        "group_id": study,
        "split": assign_split(study, 0, _FRACTIONS),
        "texts": texts,
        "sections": sections,
        "labels": _labels(report),
    }
    films = list(report.iter("parentImage"))
    if not films:
        return [{**row, "item_id": study, "meta": {"study_id": study}}]
    return [
        {
            **row,
            "item_id": film.get("id", ""),
            "image": f"{film.get('id', '')}.png",
            "meta": {"study_id": study, **_view(film)},
        }
        for film in films
    ]


def _labels(report: Element) -> list[str]:
    """The major terms, `Cardiomegaly/mild` as `Cardiomegaly`."""
    terms = ((major.text or "").split("/")[0].strip() for major in report.iter("major"))
    return [term for term in dict.fromkeys(terms) if term]


def _view(film: Element) -> dict[str, str]:
    caption = " ".join((film.findtext("caption") or "").split())
    return {"caption": caption} if caption else {}
