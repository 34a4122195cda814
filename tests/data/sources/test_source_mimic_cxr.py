"""MIMIC-CXR-JPG with the reports of MIMIC-CXR; every value here is invented."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from crossray.core.errors import CrossRayError
from crossray.data.ingest.counts import IngestCounts
from crossray.data.ingest.worker import WORK_SCHEMA
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.sources.chexpert import LABELS
from crossray.data.sources.mimic_cxr import TABLE, MimicCxrSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with cough

 FINDINGS:

 The heart is large in
 patient {patient}.  No effusion.

 IMPRESSION:  Cardiomegaly \u2013 mild.
"""
VIEWS = ["PA", "LATERAL", "", "AP"]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten patients of one study and two films each; the first has a second study of four films."""
    metadata, splits, labels = [], [], []
    for number in range(10):
        patient = str(10_000_009 - number)
        for study, films in (("50000001", 2), ("50000002", 4))[: 2 if number == 0 else 1]:
            study = str(int(study) + 10 * number)
            folder = tmp_path / f"jpg/files/p10/p{patient}/s{study}"
            folder.mkdir(parents=True)
            report = tmp_path / f"reports/files/p10/p{patient}/s{study}.txt"
            report.parent.mkdir(parents=True, exist_ok=True)
            report.write_text(REPORT.format(patient=number), "utf-8")
            marks = dict.fromkeys(LABELS, "") | {"Cardiomegaly": "1.0", "Edema": "-1.0"}
            marks["Pneumonia"] = "0.0"
            labels.append({"subject_id": patient, "study_id": study, **marks})
            for at in range(films):
                film = f"f{study}-{at}"
                (folder / f"{film}.jpg").write_bytes(encoded_image(10 * number + at))
                key = {"dicom_id": film, "subject_id": patient, "study_id": study}
                metadata.append({**key, "ViewPosition": VIEWS[at], "Rows": "40"})
                word = ["train"] * 7 + ["validate"] + ["test"] * 2
                splits.append({**key, "split": word[number]})
    for name, rows in (("metadata", metadata), ("split", splits), ("chexpert", labels)):
        _write(tmp_path / f"jpg/{TABLE.format(name)}.gz", rows)
    return tmp_path


def _source(root: Path, **options: Any) -> MimicCxrSource:
    return MimicCxrSource(str(root / "jpg"), reports=str(root / "reports"), **options)


def test_official_split(root: Path, judge: Judge) -> None:
    """A patient in two splits, or a film beside another study's report, makes figures worthless."""
    source = _source(root)
    rows = judge(source)
    assert len(rows) == 24
    assert [row["split"] for row in rows] == ["test"] * 4 + ["val"] * 2 + ["train"] * 18
    last = rows[-6:]
    assert {row["group_id"] for row in last} == {"p10000009"}
    assert [dict(row["meta"])["study_id"] for row in last] == ["s50000001"] * 2 + ["s50000002"] * 4
    assert last[1]["image"] == encoded_image(1)
    assert last[0]["item_id"] == "f50000001-0"
    assert last[0]["labels"] == ["Cardiomegaly"]
    assert dict(last[0]["meta"]).items() >= {"view": "PA", "uncertain": "Edema"}.items()
    assert last[0]["texts"] == [
        "The heart is large in patient 0.", "No effusion.", "Cardiomegaly \u2013 mild.",
    ]  # fmt: skip
    assert [section["name"] for section in last[0]["sections"]] == ["findings", "impression"]
    assert "1 images have no view position" in source.plan().notes
    assert "found 11 studies; the set is published with 227,835" in source.plan().notes


def test_frontal_films_by_patient(root: Path, judge: Judge) -> None:
    """The split of this protocol must be the same for everybody and keep patients together."""
    rows = judge(_source(root, views="frontal", split="mmdl"))
    assert [dict(row["meta"])["view"] for row in rows] == ["PA"] * 11 + ["AP"]
    homes: dict[str, set[str]] = {}
    for row in rows:
        homes.setdefault(row["group_id"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in homes.values())
    assert rows == judge(_source(root, views="frontal", split="mmdl"))


def test_unpacked_tables_and_one_folder(root: Path, judge: Judge) -> None:
    """Some unpack the tables and put the reports beside the films; the rows must be the same."""
    before = judge(_source(root))
    for packed in (root / "jpg").glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    for report in (root / "reports").rglob("*.txt"):
        report.rename(root / "jpg" / report.relative_to(root / "reports"))
    assert judge(MimicCxrSource(str(root / "jpg"))) == before


def test_lost_files_are_counted(root: Path, judge: Judge) -> None:
    """A lost report or film must be counted with its reason."""
    (root / "reports/files/p10/p10000008/s50000011.txt").unlink()
    (root / "reports/files/p10/p10000007/s50000021.txt").write_bytes(b"FINDINGS: caf\xe9")
    (root / "jpg/files/p10/p10000006/s50000031/f50000031-0.jpg").unlink()
    rows = judge(_source(root))
    assert [(row["where"], row["reason"]) for row in rows if row["reason"]] == [
        ("f50000031-0", "missing image"),
        ("f50000021-0", "not UTF-8"), ("f50000021-1", "not UTF-8"),
        ("f50000011-0", "missing text"), ("f50000011-1", "missing text"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["metadata", "split", "chexpert"])
def test_missing_table_is_named(root: Path, name: str) -> None:
    """The tables are separate downloads of a credentialed site."""
    (root / f"jpg/{TABLE.format(name)}.gz").unlink()
    with pytest.raises(CrossRayError, match=rf"has no mimic-cxr-2.0.0-{name}.csv.gz .*physionet"):
        _source(root).plan()


def test_missing_reports_are_named(root: Path) -> None:
    """The reports come from another data set than the films."""
    with pytest.raises(CrossRayError, match=r"unpack mimic-cxr-reports\.zip"):
        MimicCxrSource(str(root / "jpg"), reports=str(root / "nowhere")).plan()


def test_other_table(root: Path) -> None:
    """A table of another release must be refused by name and column."""
    _write(root / f"jpg/{TABLE.format('split')}.gz", [{"dicom_id": "x", "fold": "1"}])
    with pytest.raises(CrossRayError, match="has no column 'split'"):
        _source(root).plan()


def test_reports_without_text_are_counted(root: Path, judge: Judge) -> None:
    """A film must not be described by what was feared; without text it is kept, and counted."""
    (root / "reports/files/p10/p10000008/s50000011.txt").write_text(
        "                                 FINAL REPORT\n INDICATION:  Cough.\n"
    )
    rows = judge(_source(root))
    assert [row["item_id"] for row in rows if not row["texts"]] == ["f50000011-0", "f50000011-1"]
    assert all(row["reason"] is None for row in rows)
    counts = IngestCounts()
    counts.count(pa.Table.from_pylist(rows, WORK_SCHEMA).select(PAIR_SCHEMA.names))
    assert counts.metrics()["without_text"] == 2
    screen = StringIO()
    Console(file=screen).print(counts.table())
    assert "without a text" in screen.getvalue()


def test_labels_that_are_none(root: Path, judge: Judge) -> None:
    """A value that the labeler never writes must cost its study, not pass for not mentioned."""
    table = root / f"jpg/{TABLE.format('chexpert')}.gz"
    sound = judge(_source(root))
    content = gzip.decompress(table.read_bytes()).decode().replace("1.0", "yes", 1)
    table.write_bytes(gzip.compress(content.encode()))
    rows = judge(_source(root))
    faulty = [row["where"] for row in rows if row["reason"] == "malformed row"]
    assert faulty == ["f50000001-0", "f50000001-1"]
    assert [row for row in rows if not row["reason"]] == [
        row for row in sound if row["item_id"] not in faulty
    ]
