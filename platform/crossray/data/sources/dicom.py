"""A folder tree of DICOM files, with reports of the studies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from crossray.core.errors import CrossRayError
from crossray.data.image_file import ImageFile
from crossray.data.schema import PairRow
from crossray.data.sentences import as_document
from crossray.data.sources.layout import numeric
from crossray.data.sources.source import UNIT_ROWS, FolderSource, Plan
from crossray.data.sources.study_reports import Reports, open_reports
from crossray.data.split import parse_split

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SHORT_SIDE = 512
_CODE = re.compile(r"[A-Z0-9 _]{1,16}")  # what DICOM's code strings may hold; no name does
_META = {"modality": ("Modality",), "body_part": ("BodyPartExamined",),
         "laterality": ("ImageLaterality", "Laterality")}  # fmt: skip
# The codes of CID 4010 (DX View), in SNOMED CT and in SRT, as older files write them.
_VIEWS = {
    "399348003": "AP", "R-10206": "AP", "272479007": "PA", "R-10214": "PA",
    "399173006": "LL", "R-10236": "LL", "399198007": "RL", "R-10232": "RL",
}  # fmt: skip


@dataclass(frozen=True)
class DicomSource(FolderSource):
    """Every DICOM image below a folder, as greyscale PNG of 8 bits; a patient is a group.

    Images are shown as their header says: modality table or rescale, VOI table or window,
    MONOCHROME1 inverted, colour as luminance. The SOP instance UID is the item's id, the patient's
    id the group's, the study instance UID `study_id`, unchanged: pseudonymise first what must
    not leave its place. Modality, view, body part and laterality are kept, nothing else of the
    header. What is not DICOM or not an image is passed over and counted. Where all files are in two
    or more folders that are called like splits (`train/`, `test/`), these are the splits; else
    patients are drawn.

    Attributes:
        folder: what holds the files, at any depth and with any name.
        short_side: the shorter side of the images in pixels at most; larger ones are reduced.
        reports: a folder of text files named `<study>.txt`, or a CSV table; the study is its
            instance UID or its accession number. Without it the items have no text.
        study_column: the table's column of studies.
        text_columns: the table's columns of texts, comma-separated: one of complete reports, or
            several that are the sections.
    """

    name: ClassVar[str] = "dicom"

    short_side: int = SHORT_SIDE
    reports: str | None = None
    study_column: str = "study_id"
    text_columns: str = "report"

    @property
    def paths(self) -> tuple[str, ...]:
        """See `Origin.paths`."""
        return ("folder", "reports")

    def plan(self) -> Plan:
        """List the files; they are opened by the workers."""
        root = Path(self.folder).resolve()
        if not root.is_dir():
            raise CrossRayError(f"there is no folder {self.folder}; give one of DICOM files.")
        if self.short_side < 1:
            raise CrossRayError(f"--short-side {self.short_side} keeps nothing; give 1 or more.")
        reports: Reports | None = None
        notes: list[str] = []
        if self.reports is not None:
            reports, notes = open_reports(self.reports, self.study_column, self.text_columns)
        files = sorted(
            (
                (Path(folder) / name).relative_to(root).as_posix()
                for folder, _, names in os.walk(root)
                for name in names
            ),
            key=numeric,
        )
        units = [{"files": files[at : at + UNIT_ROWS]} for at in range(0, len(files), UNIT_ROWS)]
        split_folders = _are_splits({name.partition("/")[0] for name in files})
        if split_folders:
            notes.append("the splits are those that the folders name")
        reader = DicomReader(str(root), self.short_side, reports, split_folders)
        return Plan(units, len(files), reader, tuple(notes))


@dataclass(frozen=True)
class DicomReader:
    """Converts images and finds their reports, inside a worker."""

    root: str
    short_side: int
    reports: Reports | None
    split_folders: bool

    def read(self, unit: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The files of a unit."""
        for name in unit["files"]:
            # A name may be bytes of another encoding, which no text can hold unchanged.
            yield os.fsencode(name).decode("utf-8", "backslashreplace"), name

    def row(self, raw: str) -> PairRow:
        """The pair; raises `Rejected`."""
        # Here, for the decoders are slow to import and only workers need them.
        from crossray.data.sources import dicom_file
        from crossray.data.sources.dicom_picture import encoded_picture

        data = ImageFile(self.root, raw).read(dicom_file.MAX_BYTES)
        dataset = dicom_file.read_image_object(data, raw)
        with dicom_file.damage("header"):
            study, accession = _text(dataset, "StudyInstanceUID"), _text(dataset, "AccessionNumber")
            row = PairRow(
                item_id=_text(dataset, "SOPInstanceUID"),
                group_id=_text(dataset, "PatientID") or study,
                meta={**({"study_id": study} if study else {}), **_meta(dataset)},
            )
        if self.split_folders:
            row["split"] = parse_split(raw.partition("/")[0])
        if self.reports is not None:
            parts = self.reports.parts([name for name in (study, accession) if name])
            row["texts"], row["sections"] = as_document(parts)
        row["image"] = encoded_picture(dataset, self.short_side)
        return row


def _are_splits(names: set[str]) -> bool:
    """Whether the first names of all paths are called like splits, of which there are several."""
    splits = {parse_split(name) for name in names}
    return len(splits) > 1 and None not in splits


def _meta(dataset: Dataset) -> dict[str, str]:
    """Modality, view, body part and laterality where they are codes as DICOM defines them."""
    found = {
        key: next((code for tag in tags if (code := _code(dataset, tag))), "")
        for key, tags in _META.items()
    }
    found["view"] = _code(dataset, "ViewPosition") or _coded_view(dataset)
    return {key: code for key, code in found.items() if code}


def _coded_view(dataset: Dataset) -> str:
    codes = (_text(item, "CodeValue") for item in dataset.get("ViewCodeSequence") or ())
    return next((_VIEWS[code] for code in codes if code in _VIEWS), "")


def _code(dataset: Dataset, tag: str) -> str:
    text = _text(dataset, tag).upper()
    return text if _CODE.fullmatch(text) else ""


def _text(dataset: Dataset, tag: str) -> str:
    value = dataset.get(tag)
    return "" if value is None else str(value).strip(" \0")
