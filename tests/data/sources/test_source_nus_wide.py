"""NUS-WIDE in its official layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources import nus_wide
from crossray.data.sources.nus_wide import TEN, NusWideSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]
CONCEPTS = [*TEN, "zebra"]
COUNT = 44
TAGS = ["caf\u00e9", "nature", "blue"]


def _concepts(at: int) -> list[str]:
    """Image `at` has one of the ten; the third has two, the fourth zebra alone."""
    return {2: ["animal", "sky"], 3: ["zebra"]}.get(at, [TEN[at % 10]])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """Forty-four images of twelve folders; the last two are one photo, the fifth has no tag."""
    names = []
    for at in range(COUNT):
        photo = 9000 - (at if at < COUNT - 1 else at - 1)
        name = f"c{at % 12}/{at:04d}_{photo}.jpg"
        (tmp_path / "Flickr" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Flickr" / name).write_bytes(encoded_image(at))
        names.append(name.replace("/", "\\"))
    base = tmp_path / "nus"
    for folder in ("ImageList", "ConceptsList", "Groundtruth/AllLabels", "NUS_WID_Tags"):
        (base / folder).mkdir(parents=True)
    for listing, own in (("Image", names), ("TrainImage", names[:30]), ("TestImage", names[30:])):
        text = "\r\n".join(own) + "\r\n"
        (base / f"ImageList/{listing}list.txt").write_bytes(text.encode())
    (base / "ConceptsList/Concepts81.txt").write_text("\n".join(CONCEPTS) + "\n")
    for concept in CONCEPTS:
        marks = "".join(f"{int(concept in _concepts(at))}\n" for at in range(COUNT))
        (base / f"Groundtruth/AllLabels/Labels_{concept}.txt").write_text(marks)
    (base / "NUS_WID_Tags/TagList1k.txt").write_text("\n".join(TAGS), "utf-8")
    rows = ["0\t0\t0" if at == 4 else f"1\t0\t{at % 2}" for at in range(COUNT)]
    (base / "NUS_WID_Tags/AllTags1k.txt").write_text("\n".join(rows) + "\n")
    return str(base), str(tmp_path / "Flickr")


def test_official_split(folders: tuple[str, str], judge: Judge) -> None:
    """Labels and tags stand in other files, line by line: off by one, every row is wrong."""
    source = NusWideSource(*folders)
    rows = judge(source)
    assert [row["split"] for row in rows] == ["train"] * 30 + ["test"] * 14
    assert [row["labels"] for row in rows] == [_concepts(at) for at in range(COUNT)]
    assert rows[1]["item_id"] == "c1/0001_8999"
    assert rows[1]["texts"] == ["caf\u00e9 blue"]
    assert rows[13]["image"] == encoded_image(13)
    assert rows[4]["texts"] == []
    assert rows[-1]["group_id"] == rows[-2]["group_id"] == "8958"
    assert "found 44 images; the set is published with 269,648" in source.plan().notes


def test_mmach_split(
    folders: tuple[str, str], judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the frequent concepts count, and an image must have a tag to be found by text."""
    monkeypatch.setattr(nus_wide, "CONCEPTS", 10)
    monkeypatch.setattr(nus_wide, "QUERIES", 6)
    monkeypatch.setattr(nus_wide, "TRAINING", 20)
    rows = judge(NusWideSource(*folders, split="mmach"))
    assert {row["item_id"][-9:-5] for row in rows}.isdisjoint({"0003", "0004"})
    assert len(rows) == 42
    groups = {row["group_id"]: row["split"] for row in rows}
    assert Counter(groups.values()) == {"test": 6, "train": 20, "val": 15}
    assert all(row["split"] == groups[row["group_id"]] for row in rows)
    assert {label for row in rows for label in row["labels"]} == set(TEN)


def test_ten_thousand(
    folders: tuple[str, str], judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image of two classes would be relevant to both; a class must not be rarer than another."""
    with pytest.raises(CrossRayError, match="have 'animal' and no other"):
        NusWideSource(*folders, split="10k").plan()
    monkeypatch.setattr(nus_wide, "EACH", {"train": 1, "val": 1, "test": 1})
    rows = judge(NusWideSource(*folders, split="10k"))
    assert Counter((row["split"], *row["labels"]) for row in rows) == {
        (split, label): 1 for split in ("train", "val", "test") for label in TEN
    }
    assert len({row["group_id"] for row in rows}) == 30
    assert "8958" not in {row["group_id"] for row in rows}, "a photo that is listed twice"


@pytest.mark.parametrize(
    "name",
    ["ImageList/Imagelist.txt", "ImageList/TestImagelist.txt", "ConceptsList/Concepts81.txt",
     "Groundtruth/AllLabels/Labels_toy.txt", "NUS_WID_Tags/AllTags1k.txt"],
)  # fmt: skip
def test_missing_file_is_named(folders: tuple[str, str], name: str) -> None:
    """The set comes in many archives."""
    (Path(folders[0]) / name).unlink()
    with pytest.raises(CrossRayError, match=rf"has no {name}.*lms.comp.nus.edu.sg"):
        NusWideSource(*folders).plan()


def test_missing_images(folders: tuple[str, str]) -> None:
    """The images are not part of the official archives."""
    with pytest.raises(CrossRayError, match="no folder of images /nowhere"):
        NusWideSource(folders[0], "/nowhere").plan()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Groundtruth/AllLabels/Labels_sky.txt", "1\n0\n", "has 2 lines for the 44 images"),
        ("NUS_WID_Tags/AllTags1k.txt", "1 0 0\n", "has 1 lines for the 44 images"),
    ],
)
def test_lines_must_agree(folders: tuple[str, str], name: str, content: str, message: str) -> None:
    """Files of different copies put beside each other give every image another one's labels."""
    (Path(folders[0]) / name).write_text(content)
    with pytest.raises(CrossRayError, match=message):
        NusWideSource(*folders).plan()


def test_damaged_lines_cost_their_image(folders: tuple[str, str], judge: Judge) -> None:
    """Line n of every file is about image n; one that was skipped would shift all the others."""
    sound = judge(NusWideSource(*folders))
    for at, (name, damage) in enumerate(
        [("Groundtruth/AllLabels/Labels_sky.txt", ""), ("NUS_WID_Tags/AllTags1k.txt", "1 0"),
         ("NUS_WID_Tags/AllTags1k.txt", "")]
    ):  # fmt: skip
        path = Path(folders[0]) / name
        content = path.read_text().split("\n")
        content[at] = damage
        path.write_text("\n".join(content))
    rows = judge(NusWideSource(*folders))
    assert [row["reason"] for row in rows[:3]] == ["malformed row"] * 3
    assert rows[3:] == sound[3:]
