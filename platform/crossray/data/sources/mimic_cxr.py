"""MIMIC-CXR-JPG: tables, a tree of images, and the tree of reports of MIMIC-CXR."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from crossray.data.image_file import ImageFile
from crossray.data.rejection import Rejected
from crossray.data.schema import PairRow
from crossray.data.sentences import as_document
from crossray.data.sources.chexpert import LABELS, label_fault, read_labels
from crossray.data.sources.layout import Cells, Layout, Row, counted, in_units, table, text_file
from crossray.data.sources.report_sections import read_sections
from crossray.data.sources.source import FolderSource, Plan
from crossray.data.split import assign_split, parse_split

TABLE = "mimic-cxr-2.0.0-{}.csv"
FRONTAL = ("PA", "AP")
IMAGES, STUDIES = 377_110, 227_835
_MMDL = (189_036, 26_750, 4_075)
_LICENCE = "PhysioNet Credentialed Health Data License; no redistribution"
_REMEDY = (
    "give the folder of MIMIC-CXR-JPG with its tables and files/, from "
    "https://physionet.org/content/mimic-cxr-jpg (credentialed access)"
)


@dataclass(frozen=True)
class MimicCxrSource(FolderSource):
    """Chest films with their reports; the views of a study share `study_id`, a patient is a group.

    Johnson et al.: MIMIC-CXR-JPG, arXiv:1901.07042. Texts are the sentences of findings and
    impression, or of the report's last paragraph where it has neither; headings are read as the
    data set's authors map them. Films whose report has no text are kept and counted. Labels are
    positive labels; uncertain ones are in `meta`.

    Attributes:
        folder: MIMIC-CXR-JPG: the tables, packed or not, and files/ with the images.
        reports: the unpacked mimic-cxr-reports.zip of MIMIC-CXR, which holds files/ with the
            reports; by default the same folder.
        labels: by which labeler.
        views: `frontal` keeps the films whose view position is PA or AP.
        split: `official`, or `mmdl`, which draws patients in the proportions 189,036 / 26,750 /
            4,075 of that paper by a fixed seed.
    """

    name: ClassVar[str] = "mimic-cxr"

    reports: str | None = None
    labels: Literal["chexpert", "negbio"] = "chexpert"
    views: Literal["all", "frontal"] = "all"
    split: Literal["official", "mmdl"] = "official"

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder", "reports")

    def plan(self) -> Plan:
        """Join the tables; images and reports are read by the workers."""
        layout = Layout(self.folder, _REMEDY)
        images = layout.find("files")
        reports = images if self.reports is None else self._reports(self.reports)
        splits = self._splits(layout)
        marks, faults = {}, {}
        for cells in self._table(layout, self.labels, ("study_id", *LABELS)):
            marks[cells["study_id"]] = read_labels(cells)
            faults[cells["study_id"]] = cells.fault or label_fault(cells)
        columns = ("dicom_id", "subject_id", "study_id", "ViewPosition")
        rows: list[Row] = []
        blank = unlabelled = films = 0
        studies: set[str] = set()
        for cells in self._table(layout, "metadata", columns):
            films += 1
            studies.add(cells["study_id"])
            view = cells["ViewPosition"].strip()
            blank += not view
            if self.views == "frontal" and view not in FRONTAL:
                continue
            unlabelled += cells["study_id"] not in marks
            labels, uncertain = marks.get(cells["study_id"], ([], {}))
            rows.append(
                {
                    "film": cells["dicom_id"],
                    "patient": cells["subject_id"],
                    "study": cells["study_id"],
                    "fault": cells.fault or faults.get(cells["study_id"]),
                    "split": splits.get(cells["dicom_id"], "(blank)") if splits else None,
                    "labels": labels,
                    "meta": {**uncertain, **({"view": view} if view else {})},
                }
            )
        rows.sort(key=lambda row: (row["patient"], row["study"], row["film"]))
        notes = (
            f"licence: {_LICENCE}",
            *counted(films, IMAGES, "images"),
            *counted(len(studies), STUDIES, "studies"),
            f"{blank:,} images have no view position",
            f"{unlabelled:,} images belong to studies without labels",
        )
        return Plan(in_units(rows), len(rows), MimicCxrReader(str(images), str(reports)), notes)

    def _reports(self, folder: str) -> Path:
        remedy = (
            "unpack mimic-cxr-reports.zip of https://physionet.org/content/mimic-cxr "
            "(credentialed access) and give its folder as --reports"
        )
        return Layout(folder, remedy).find("files")

    def _splits(self, layout: Layout) -> dict[str, str]:
        """The official split by image; empty for a split drawn by patient."""
        if self.split == "mmdl":
            return {}
        cells = self._table(layout, "split", ("dicom_id", "split"))
        return {row["dicom_id"]: parse_split(row["split"]) or row["split"] for row in cells}

    def _table(self, layout: Layout, name: str, columns: tuple[str, ...]) -> Iterator[Cells]:
        file = TABLE.format(name)
        return table(layout.find(f"{file}.gz", file), columns)


@dataclass(frozen=True)
class MimicCxrReader:
    """Reads reports and makes pairs, inside a worker."""

    images: str
    reports: str

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The films of a unit."""
        for row in unit["rows"]:
            yield row["film"], row

    def row(self, raw: Row) -> PairRow:
        """The pair; raises `Rejected` when the report is missing or not UTF-8."""
        if raw["fault"] is not None:
            raise Rejected("malformed row", raw["fault"])
        patient, study = f"p{raw['patient']}", f"s{raw['study']}"
        folder = f"{patient[:3]}/{patient}/{study}"
        split = raw["split"] or assign_split(patient, 0, _mmdl_fractions())
        texts, sections = as_document(read_sections(text_file(Path(self.reports), f"{folder}.txt")))
        return PairRow(
            item_id=raw["film"],
            group_id=patient,
            split=split,
            image=ImageFile(self.images, f"{folder}/{raw['film']}.jpg"),
            texts=texts,
            sections=sections,
            labels=raw["labels"],
            meta={"licence": _LICENCE, "study_id": study, **raw["meta"]},
        )


def _mmdl_fractions() -> tuple[float, float, float]:
    train, val, test = (count / sum(_MMDL) for count in _MMDL)
    return train, val, test
