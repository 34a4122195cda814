"""The Wikipedia set of Rasiwasia et al."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources import wikipedia
from crossray.data.sources.wikipedia import LISTS, WikipediaSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]
CATEGORIES = ["art", "biology", "geography"]
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<document name="x"><imageset><image id="y"/></imageset><text>
The caf\u00e9 &amp;&nbsp;bar
of {name} & more.
</text></document>
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Fourteen training and six test pairs; articles of two sections, some in both lists."""
    (tmp_path / "texts").mkdir()
    for category in CATEGORIES:
        (tmp_path / "images" / category).mkdir(parents=True)
    (tmp_path / "categories.list").write_text("\n".join(CATEGORIES) + "\n")
    pairs = []
    for at in range(20):
        name = f"a{at % 10:031d}-{at}.5"
        (tmp_path / f"texts/{name}.xml").write_text(PAGE.format(name=name), "utf-8")
        category = at % 3
        image = tmp_path / f"images/{CATEGORIES[category]}/i{at}.jpg"
        image.write_bytes(encoded_image(at))
        pairs.append(f"{name}\ti{at}\t{category + 1}\n")
    for listing, own in zip(LISTS, (pairs[:14], pairs[14:]), strict=True):
        (tmp_path / listing).write_text("".join(own))
    return tmp_path


def test_official_lists(root: Path, judge: Judge) -> None:
    """Categories count from 1; sections of one article are in both lists, as published."""
    source = WikipediaSource(str(root))
    rows = judge(source)
    assert [row["split"] for row in rows] == ["train"] * 14 + ["test"] * 6
    assert [row["labels"] for row in rows[:4]] == [["art"], ["biology"], ["geography"], ["art"]]
    first = rows[0]
    assert first["texts"] == [f"The caf\u00e9 & bar of {first['item_id']} & more."]
    assert first["image"] == encoded_image(0)
    assert first["group_id"] == first["item_id"] == f"a{0:031d}-0.5"
    assert dict(first["meta"])["article"] == f"a{0:031d}"
    assert "found 14 pairs in trainset_txt_img_cat.list; the set is published with 2,173" in (
        source.plan().notes
    )


def test_validation_is_the_head_of_the_test_list(
    root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures of this protocol are on the last pairs of the test list."""
    monkeypatch.setattr(wikipedia, "VALIDATION", 2)
    rows = judge(WikipediaSource(str(root), split="gpldan"))
    assert [row["split"] for row in rows] == ["train"] * 14 + ["val"] * 2 + ["test"] * 4


def test_drawn_split_keeps_articles_together(root: Path, judge: Judge) -> None:
    """Two sections of one article tell of one another."""
    rows = judge(WikipediaSource(str(root), split="drawn"))
    assert len({row["group_id"] for row in rows}) == 10
    assert len({(row["group_id"], row["split"]) for row in rows}) == 10


def test_lost_files_are_counted(root: Path, judge: Judge) -> None:
    """A lost text or image, and one in another encoding, must be counted."""
    names = [path.stem for path in sorted((root / "texts").glob("*.xml"))]
    (root / f"texts/{names[0]}.xml").unlink()
    (root / f"texts/{names[2]}.xml").write_bytes(b"<text>caf\xe9</text>")
    (root / f"texts/{names[4]}.xml").write_text("<text> </text>")
    (root / "images/art/i3.jpg").unlink()
    rows = judge(WikipediaSource(str(root)))
    assert sorted(row["reason"] for row in rows if row["reason"]) == [
        "missing image", "missing text", "missing text", "not UTF-8",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*LISTS, "categories.list", "images", "texts"])
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Whoever gave the wrong folder must read what was sought."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=f"has no {name}; .*svcl.ucsd.edu"):
        WikipediaSource(str(root)).plan()


@pytest.mark.parametrize("line", ["a-1\ti1\t4", "a-1\ti1\t0", "a-1 i1 1", "a-1\ti1\tart"])
def test_damaged_list(root: Path, judge: Judge, line: str) -> None:
    """A category that does not exist must not become the last one."""
    (root / "testset_txt_img_cat.list").write_text(line + "\n")
    [rejected] = [row for row in judge(WikipediaSource(str(root))) if row["reason"]]
    assert rejected["where"] == "testset_txt_img_cat.list line 1"
    assert "is not text, image and category" in rejected["detail"]
