"""IAPR TC-12 in its official layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources import iapr_tc12
from crossray.data.sources.iapr_tc12 import ANNOTATIONS, IaprTc12Source
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]
ANNOTATION = """<DOC>
<DOCNO>annotations/{folder}/{number}.eng</DOCNO>
<TITLE>Bar & caf\u00e9 {number}</TITLE>
<DESCRIPTION>a man & a dog;
 a caf\u00e9 in the background;</DESCRIPTION>
<NOTES></NOTES>
<LOCATION>Quito, Ecuador</LOCATION>
<DATE>May 2004</DATE>
<IMAGE>images/{folder}/{number}.jpg</IMAGE>
<THUMBNAIL>thumbnails/{folder}/{number}.jpg</THUMBNAIL>
</DOC>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty photos in two folders; all but the first have regions."""
    for folder in ("00", "01"):
        for part in ("images", ANNOTATIONS, "saiapr_tc-12"):
            (tmp_path / part / folder).mkdir(parents=True)
        regions = []
        for number in range(9, 19) if folder == "00" else range(100, 110):
            (tmp_path / f"images/{folder}/{number}.jpg").write_bytes(encoded_image(number))
            text = ANNOTATION.format(folder=folder, number=number)
            (tmp_path / ANNOTATIONS / folder / f"{number}.eng").write_text(text, "latin-1")
            if number > 9:
                regions += [f"{number}\t1\t12", f"{number}\t2\t3", f"{number}\t3\t12"]
        (tmp_path / f"saiapr_tc-12/{folder}/labels.txt").write_text("\n".join(regions) + "\n")
    return tmp_path


def test_annotations(root: Path, judge: Judge) -> None:
    """The files are Latin-1 with bare ampersands, which no XML parser reads."""
    source = IaprTc12Source(str(root))
    rows = judge(source)
    numbers = [*range(9, 19), *range(100, 110)]
    assert [int(row["item_id"].split("/")[1]) for row in rows] == numbers
    first = rows[0]
    assert first["item_id"] == "00/9"
    assert first["texts"] == ["a man & a dog; a caf\u00e9 in the background;"]
    assert first["image"] == encoded_image(9)
    assert first["labels"] == []
    assert dict(first["meta"]).items() >= {
        "title": "Bar & caf\u00e9 9", "location": "Quito, Ecuador", "date": "May 2004",
    }.items()  # fmt: skip
    assert "found 20 photos; the set is published with 20,000" in source.plan().notes


def test_all_texts(root: Path, judge: Judge) -> None:
    """Some works read title and notes too; figures on the one text are not those on the other."""
    path = root / ANNOTATIONS / "00/9.eng"
    text = path.read_text("latin-1").replace("<NOTES>", "<NOTES>Seen in Quito.")
    path.write_text(text, "latin-1")
    rows = judge(IaprTc12Source(str(root), text="all"))
    description = "a man & a dog; a caf\u00e9 in the background;"
    assert rows[0]["texts"] == [f"Bar & caf\u00e9 9 {description} Seen in Quito."]
    assert rows[1]["texts"] == [f"Bar & caf\u00e9 10 {description}"]
    assert judge(IaprTc12Source(str(root)))[0]["texts"] == [description]


def test_regions_and_mmach_split(root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo without a label can be relevant to nothing in this protocol."""
    with pytest.raises(CrossRayError, match="--split mmach needs labels"):
        IaprTc12Source(str(root), split="mmach").plan()
    monkeypatch.setattr(iapr_tc12, "QUERIES", 4)
    monkeypatch.setattr(iapr_tc12, "TRAINING", 10)
    rows = judge(IaprTc12Source(str(root), str(root / "saiapr_tc-12"), "mmach"))
    assert Counter(row["split"] for row in rows) == {"test": 4, "train": 10, "val": 5}
    assert {tuple(row["labels"]) for row in rows} == {("label-3", "label-12")}


def test_lost_files_are_counted(root: Path, judge: Judge) -> None:
    """A lost photo, a blank description and a truncated annotation must be counted."""
    (root / "images/00/10.jpg").unlink()
    blank = "<DESCRIPTION> </DESCRIPTION><IMAGE>images/00/11.jpg</IMAGE>"
    (root / ANNOTATIONS / "00/11.eng").write_text(blank)
    (root / ANNOTATIONS / "00/12.eng").write_text("<DOC>")
    rows = judge(IaprTc12Source(str(root)))
    assert [(row["where"], row["reason"]) for row in rows if row["reason"]] == [
        ("00/10", "missing image"), ("00/11", "missing text"), ("00/12", "malformed row"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [ANNOTATIONS, "images"])
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Whoever gave the wrong folder must read what was sought."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=rf"has no {name}; .*imageclef.org/photodata"):
        IaprTc12Source(str(root)).plan()


def test_wrong_regions(root: Path, judge: Judge) -> None:
    """Another folder, or a row of another meaning, must not give labels."""
    with pytest.raises(CrossRayError, match=r"has no 00/labels.txt"):
        IaprTc12Source(str(root), str(root / "images")).plan()
    (root / "saiapr_tc-12/00/labels.txt").write_text("9 1 sky\n9 1 7\n")
    rows = judge(IaprTc12Source(str(root), str(root / "saiapr_tc-12")))
    [line] = [row for row in rows if row["reason"]]
    assert (line["where"], line["reason"]) == ("00/labels.txt line 1", "malformed row")
    assert {row["item_id"]: row["labels"] for row in rows}["00/9"] == ["label-7"]
