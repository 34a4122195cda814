"""Open-i Indiana University chest X-rays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.openi import IMAGES, REPORTS, TABLES, OpeniSource
from crossray.data.split import assign_split
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
<uId id="CXR{number}"/>
<MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText>
<AbstractText Label="INDICATION">Pain of XXXX.</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText>
<AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation>
<MeSH>{mesh}</MeSH>
{images}
</eCitation>
"""
FILM = '<parentImage id="{name}"><caption>Xray Chest {view}</caption></parentImage>'


def _write(
    root: Path,
    number: int,
    findings: str = "The heart is large. Lungs clear of XXXX.",
    impression: str = "Cardiomegaly.",
    mesh: tuple[str, ...] = ("Cardiomegaly/mild",),
    views: tuple[str, ...] = ("PA", "Lateral"),
) -> None:
    films = []
    for at, view in enumerate(views):
        name = f"CXR{number}_{number}_IM-000{at}-1001"
        (root / IMAGES / f"{name}.png").write_bytes(encoded_image(10 * number + at, "PNG"))
        films.append(FILM.format(name=name, view=view))
    majors = "".join(f"<major>{term}</major>" for term in mesh) + "<automatic>heart</automatic>"
    report = REPORT.format(
        number=number, findings=findings, impression=impression, mesh=majors, images="".join(films)
    )
    (root / REPORTS / f"{number}.xml").write_text(report, "utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty reports, most of two views."""
    (tmp_path / REPORTS).mkdir()
    (tmp_path / IMAGES).mkdir()
    for number in range(1, 21):
        _write(tmp_path, number)
    _write(tmp_path, 2, "", "Normal caf\u00e9 &amp; chest.", ("normal",))
    _write(tmp_path, 10, mesh=("Opacity/lung/left", "Opacity/lung/right", "Catheters, Indwelling"))
    _write(tmp_path, 11, views=())
    return tmp_path


def test_reports(root: Path, judge: Judge) -> None:
    """Both views must carry the whole report, and must never be split from one another."""
    source = OpeniSource(str(root))
    rows = judge(source)
    assert len(rows) == 39
    assert [row["group_id"] for row in rows[:6]] == ["CXR1", "CXR1", "CXR2", "CXR2", "CXR3", "CXR3"]
    first, second = rows[:2]
    assert first["item_id"] == "CXR1_1_IM-0000-1001"
    assert first["texts"] == ["The heart is large.", "Lungs clear of XXXX.", "Cardiomegaly."]
    assert first["sections"] == [
        {"name": "findings", "start": 0, "stop": 2},
        {"name": "impression", "start": 2, "stop": 3},
    ]
    assert first["labels"] == ["Cardiomegaly"]
    assert second["image"] == encoded_image(11, "PNG")
    assert second["texts"] == first["texts"]
    assert second["split"] == first["split"]
    assert dict(second["meta"]).items() >= {
        "study_id": "CXR1", "caption": "Xray Chest Lateral",
    }.items()  # fmt: skip
    assert "found 20 reports; the set is published with 3,955" in source.plan().notes


def test_missing_section_and_qualifiers(root: Path, judge: Judge) -> None:
    """A report without findings has one section; left and right opacity are one label."""
    rows = {row["item_id"]: row for row in judge(OpeniSource(str(root)))}
    normal = rows["CXR2_2_IM-0000-1001"]
    assert normal["texts"] == ["Normal caf\u00e9 & chest."]
    assert [section["name"] for section in normal["sections"]] == ["impression"]
    assert normal["labels"] == ["normal"]
    assert rows["CXR10_10_IM-0000-1001"]["labels"] == ["Opacity", "Catheters, Indwelling"]
    assert rows["CXR11"]["image"] is None
    assert rows["CXR11"]["reason"] is None


def test_repeated_sections(root: Path, judge: Judge) -> None:
    """A report that has a section twice must keep both."""
    path = root / REPORTS / "3.xml"
    second = '<AbstractText Label="Findings">A scar.</AbstractText></Abstract>'
    path.write_text(path.read_text("utf-8").replace("</Abstract>", second), "utf-8")
    rows = {row["item_id"]: row for row in judge(OpeniSource(str(root)))}
    row = rows["CXR3_3_IM-0000-1001"]
    assert row["texts"] == [
        "The heart is large.", "Lungs clear of XXXX.", "A scar.", "Cardiomegaly.",
    ]  # fmt: skip
    assert [section["name"] for section in row["sections"]] == ["findings", "impression"]


def test_every_split_is_filled(root: Path, judge: Judge) -> None:
    """The drawn split must be the same for everybody who reports a figure on it."""
    rows = judge(OpeniSource(str(root)))
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert [row["split"] for row in rows] == [row["split"] for row in judge(OpeniSource(str(root)))]


def test_damaged_reports_are_counted(root: Path, judge: Judge) -> None:
    """A broken or hostile report must cost itself, not the ingest; a lost image must be seen."""
    (root / REPORTS / "3.xml").write_text("<eCitation>")
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><eCitation>&b;</eCitation>'
    (root / REPORTS / "4.xml").write_text(bomb)
    (root / IMAGES / "CXR5_5_IM-0001-1001.png").unlink()
    rows = judge(OpeniSource(str(root)))
    assert [(row["where"], row["reason"]) for row in rows if row["reason"]] == [
        ("3", "malformed row"), ("4", "malformed row"), ("CXR5_5_IM-0001-1001", "missing image"),
    ]  # fmt: skip


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """The repackaging: three reports, the second without a film, the third without findings."""
    images = tmp_path / "images/images_normalized"
    images.mkdir(parents=True)
    header = "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"
    rows = [
        '10,Opacity/lung/left;Opacity/lung/right;Scar,Opacity,"Chest, 2 views",Pain,None.,,Scar.\n',
        "2,normal,normal,Chest,Pain,None.,Clear.,Normal caf\u00e9.\n",
        '1,Cardiomegaly/mild,Cardiomegaly,Chest,Pain,None.,"Large ""heart"".\nClear.",Large.\n',
    ]
    (tmp_path / TABLES[0]).write_text(header + "".join(rows), "utf-8")
    films = [(1, "1_IM-0001-4001.dcm.png", "Frontal"), (1, "1_IM-0001-3001.dcm.png", "Lateral"),
             (10, "10_IM-0002-1001.dcm.png", "Frontal")]  # fmt: skip
    for at, (_, name, _) in enumerate(films):
        (images / name).write_bytes(encoded_image(at, "PNG"))
    lines = ["uid,filename,projection", *(f"{uid},{name},{view}" for uid, name, view in films)]
    (tmp_path / TABLES[1]).write_text("\n".join(lines), "utf-8")
    return tmp_path


def test_tables(tables: Path, judge: Judge) -> None:
    """Most people have the set as two tables; split and ids must be those of the XML."""
    source = OpeniSource(str(tables))
    rows = judge(source)
    assert [row["reason"] for row in rows] == [None] * 4
    assert [row["item_id"] for row in rows] == [
        "CXR1_1_IM-0001-4001", "CXR1_1_IM-0001-3001", "CXR2", "CXR10_10_IM-0002-1001",
    ]  # fmt: skip
    first, second, alone, last = rows
    assert first["texts"] == second["texts"] == ['Large "heart".', "Clear.", "Large."]
    assert first["image"] == encoded_image(0, "PNG")
    assert dict(second["meta"]).items() >= {"study_id": "CXR1", "view": "Lateral"}.items()
    assert (alone["image"], alone["labels"]) == (None, ["normal"])
    assert last["labels"] == ["Opacity", "Scar"]
    assert [section["name"] for section in last["sections"]] == ["impression"]
    for row in rows:
        assert row["split"] == assign_split(row["group_id"], 0, (0.7, 0.1, 0.2))
    assert "found 3 reports; the set is published with 3,955" in source.plan().notes
    (tables / TABLES[1]).unlink()
    with pytest.raises(CrossRayError, match=r"has no indiana_projections\.csv"):
        source.plan()


@pytest.mark.parametrize("name", [REPORTS, IMAGES])
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Reports and images are two downloads."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=f"has no {name}; unpack NLMCXR_reports.tgz"):
        OpeniSource(str(root)).plan()
