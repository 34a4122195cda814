"""MIRFLICKR-25K in its official layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources import mirflickr
from crossray.data.sources.mirflickr import ANNOTATIONS, LABELS, MirflickrSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty-four photos: photo n has label n - 1; the third has no tag, the fourth a rare one."""
    for name in ("mirflickr/meta/tags", "mirflickr/doc", ANNOTATIONS[0]):
        (tmp_path / name).mkdir(parents=True)
    for number in range(1, 25):
        (tmp_path / f"mirflickr/im{number}.jpg").write_bytes(encoded_image(number))
        own = f"my{number}" if number != 6 else "my\u20286"
        tags = {3: [], 4: ["onlyhere"]}.get(number, ["caf\u00e9", own, "newyork"])
        path = tmp_path / f"mirflickr/meta/tags/tags{number}.txt"
        path.write_bytes("".join(f"{tag}\r\n" for tag in tags).encode())
        label = tmp_path / ANNOTATIONS[0] / f"{LABELS[number - 1]}.txt"
        label.write_text(f"{number}\n1\n" if number > 1 else "1 \n")
    (tmp_path / ANNOTATIONS[0] / "baby_r1.txt").write_text("9\n")
    (tmp_path / ANNOTATIONS[0] / "README.txt").write_text("ids, one a line\n")
    common = "newyork 812\ncaf\u00e9 20\n"
    (tmp_path / "mirflickr/doc/common_tags.txt").write_text(common, "utf-8")
    return tmp_path


def test_numbers_tags_and_labels(root: Path, judge: Judge) -> None:
    """Numbers count from 1: labels read from 0 belong to the photo before."""
    source = MirflickrSource(str(root))
    rows = judge(source)
    assert [row["item_id"] for row in rows] == [f"im{number}" for number in range(1, 25)]
    assert rows[0]["labels"] == list(LABELS)
    assert [row["labels"] for row in rows[1:]] == [[label] for label in LABELS[1:]]
    assert rows[9]["texts"] == ["caf\u00e9 my10 newyork"]
    assert rows[9]["image"] == encoded_image(10)
    assert rows[2]["texts"] == []
    assert rows[5]["texts"] == ["caf\u00e9 my\u20286 newyork"]
    assert all(row["reason"] is None for row in rows)
    assert "found 24 photos; the set is published with 25,000" in source.plan().notes


def test_mmach_split(root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries in the database, or other tags than the published ones, make figures incomparable."""
    with pytest.raises(CrossRayError, match="only 22 items"):
        MirflickrSource(str(root), split="mmach").plan()
    monkeypatch.setattr(mirflickr, "QUERIES", 4)
    monkeypatch.setattr(mirflickr, "TRAINING", 10)
    rows = judge(MirflickrSource(str(root), split="mmach"))
    assert {row["item_id"] for row in rows}.isdisjoint({"im3", "im4"})
    assert {tuple(row["texts"]) for row in rows} == {("caf\u00e9 newyork",)}
    assert Counter(row["split"] for row in rows) == {"test": 4, "train": 10, "val": 8}


def test_cmfg_split(root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """This protocol has every photo and no validation set."""
    monkeypatch.setattr(mirflickr, "CMFG_TRAINING", 15)
    rows = judge(MirflickrSource(str(root), split="cmfg"))
    assert Counter(row["split"] for row in rows) == {"train": 15, "test": 9}


def test_lost_files_are_counted(root: Path, judge: Judge) -> None:
    """A photo without its file, or tags in another encoding, must be counted."""
    (root / "mirflickr/im7.jpg").unlink()
    (root / "mirflickr/meta/tags/tags8.txt").write_bytes(b"caf\xe9\n")
    (root / "mirflickr/meta/tags/tags9.txt").unlink()
    rows = judge(MirflickrSource(str(root)))
    assert [(row["where"], row["reason"]) for row in rows if row["reason"]] == [
        ("im7", "missing image"), ("im8", "not UTF-8"), ("im9", "missing text"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["mirflickr/meta/tags", ANNOTATIONS[0]])
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Photos and annotations are two archives."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=r"has no .*press.liacs.nl"):
        MirflickrSource(str(root)).plan()


def test_damaged_annotation(root: Path, judge: Judge) -> None:
    """A line that is no number must be counted, a lost list refused by name."""
    (root / ANNOTATIONS[0] / "sea.txt").write_text("1\nim7\n")
    [line] = [row for row in judge(MirflickrSource(str(root))) if row["reason"]]
    assert (line["where"], line["reason"]) == ("sea.txt line 2", "malformed row")
    (root / ANNOTATIONS[0] / "sea.txt").unlink()
    with pytest.raises(CrossRayError, match=r"has no sea.txt"):
        MirflickrSource(str(root)).plan()
