"""MS COCO 2014 in its official layout."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources import coco
from crossray.data.sources.coco import SPLIT, CocoSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]
CATEGORIES = [(1, "person"), (18, "dog"), (90, "toothbrush")]  # ids have gaps
NUMBERS = {"train2014": [900, 9, *range(30, 50)], "val2014": [1000, 42, 7]}


def _name(part: str, number: int) -> str:
    return f"COCO_{part}_{number:012d}.jpg"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty-five images; number 9 has no instance, number 7 has six captions."""
    (tmp_path / "annotations").mkdir()
    entries = []
    for part, numbers in NUMBERS.items():
        (tmp_path / part).mkdir()
        images, captions, instances = [], [], []
        for number in numbers:
            name = _name(part, number)
            (tmp_path / part / name).write_bytes(encoded_image(number))
            images.append({"id": number, "file_name": name, "width": 40, "height": 20})
            for k in reversed(range(6 if number == 7 else 5)):
                note = {
                    "id": number * 10 + k,
                    "image_id": number,
                    "caption": f"Caf\u00e9 {number} {k}.",
                }
                captions.append(note)
            if number != 9:
                for category, crowd in ((90, 0), (1 if number % 2 else 18, 1), (90, 0)):
                    note = {"image_id": number, "category_id": category, "iscrowd": crowd,
                            "bbox": [10, 5, 30.01, 10]}  # fmt: skip
                    instances.append(note)
            word = "train" if part == "train2014" else ("restval" if number == 7 else "test")
            entries.append({"filename": name, "filepath": part, "split": word, "sentences": []})
        for kind, notes in (("captions", captions), ("instances", instances)):
            content = {"images": images, "annotations": notes}
            if kind == "instances":
                content["categories"] = [{"id": i, "name": name} for i, name in CATEGORIES]
            (tmp_path / f"annotations/{kind}_{part}.json").write_text(json.dumps(content))
    (tmp_path / SPLIT).write_text(json.dumps({"images": entries[:-2] + entries[-1:]}))
    return tmp_path


def test_official_parts(root: Path, judge: Judge) -> None:
    """Captions beside the wrong image, or a category read by its position, spoil every figure."""
    rows = judge(CocoSource(str(root)))
    train = [900, 9, *range(30, 50)]
    expected = [_name("train2014", number)[:-4] for number in sorted(train)]
    expected += [_name("val2014", number)[:-4] for number in (7, 42, 1000)]
    assert [row["item_id"] for row in rows] == expected
    assert [row["split"] for row in rows] == ["train"] * 22 + ["val"] * 3
    seven = rows[22]
    assert seven["texts"] == [f"Caf\u00e9 7 {k}." for k in range(6)]
    assert seven["image"] == encoded_image(7)
    assert seven["labels"] == ["person", "toothbrush"]
    assert rows[23]["labels"] == ["dog", "toothbrush"]
    assert [box["label"] for box in seven["boxes"]] == ["toothbrush"] * 2
    assert seven["boxes"][0] == {
        "label": "toothbrush", "x0": 0.25, "y0": 0.25, "x1": 1.0, "y1": 0.75,
    }  # fmt: skip
    assert rows[0]["labels"] == rows[0]["boxes"] == []


def test_first_captions(root: Path, judge: Judge) -> None:
    """Recall at K over six captions is not the published one."""
    rows = judge(CocoSource(str(root), captions=5))
    assert {len(row["texts"]) for row in rows} == {5}
    with pytest.raises(CrossRayError, match="--captions 0"):
        CocoSource(str(root), captions=0).plan()


def test_karpathy_split(root: Path, judge: Judge) -> None:
    """What is left of val2014 belongs to the training set of this split."""
    source = CocoSource(str(root), split="karpathy")
    rows = judge(source)
    assert [row["split"] for row in rows] == ["train"] * 22 + ["train", "test"]
    assert rows[22]["item_id"] == _name("val2014", 7)[:-4]
    assert dict(rows[-1]["meta"])["fold"] == "0"
    assert "fold" not in dict(rows[0]["meta"])
    assert any("1 images are not in dataset_coco.json" in note for note in source.plan().notes)


def test_folds(root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures on 1,000 images are means over five folds, which follow the order of the split."""
    monkeypatch.setattr(coco, "FOLD", 2)
    split = json.loads((root / SPLIT).read_text())
    for entry in split["images"]:
        entry["split"] = "test" if entry["filepath"] == "train2014" else "train"
    split["images"].reverse()
    (root / SPLIT).write_text(json.dumps(split))
    names = [entry["filename"] for entry in split["images"] if entry["split"] == "test"]
    rows = judge(CocoSource(str(root), split="karpathy"))
    folds = {row["item_id"]: dict(row["meta"]).get("fold") for row in rows}
    assert [folds[Path(name).stem] for name in names] == [str(at // 2) for at in range(22)]
    assert sum(fold is None for fold in folds.values()) == len(rows) - 22


def test_mmach_split(root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image without a class can be relevant to nothing; queries must not be in the database."""
    with pytest.raises(CrossRayError, match="only 24 items"):
        CocoSource(str(root), split="mmach").plan()
    monkeypatch.setattr(coco, "QUERIES", 4)
    monkeypatch.setattr(coco, "TRAINING", 10)
    rows = judge(CocoSource(str(root), split="mmach"))
    assert all(row["labels"] for row in rows)
    assert Counter(row["split"] for row in rows) == {"test": 4, "train": 10, "val": 10}
    assert rows == judge(CocoSource(str(root), split="mmach"))


@pytest.mark.parametrize(
    "name",
    ["annotations/captions_val2014.json", "annotations/instances_train2014.json", "val2014", SPLIT],
)
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Five archives make up the set; the one that is missing must be named."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=f"has no {name}.*cocodataset.org"):
        CocoSource(str(root), split="karpathy").plan()


def test_other_json(root: Path) -> None:
    """A file of another release must be refused by name."""
    (root / "annotations/instances_val2014.json").write_text('{"annotations": []}')
    with pytest.raises(CrossRayError, match=r"instances_val2014.json is not an annotation file"):
        CocoSource(str(root)).plan()


DAMAGES: list[tuple[str, str, dict[str, Any], str]] = [
    ("captions", "annotations", {"caption": "half \ud83d"}, "not UTF-8"),
    ("captions", "annotations", {"caption": 7}, "malformed row"),
    ("captions", "annotations", {"caption": ["A dog."]}, "malformed row"),
    ("captions", "annotations", {"id": None}, "malformed row"),
    ("captions", "annotations", {"image_id": None}, "malformed row"),
    ("captions", "annotations", {"image_id": [9]}, "malformed row"),
    ("captions", "annotations", {"image_id": 10**400}, "malformed row"),
    ("captions", "images", {"id": "9"}, "malformed row"),
    ("captions", "images", {"file_name": None}, "malformed row"),
    ("captions", "images", {"file_name": "\udce9.jpg"}, "not UTF-8"),
    ("captions", "images", {"file_name": "a\0.jpg"}, "missing image"),
    ("captions", "images", {"file_name": "x" * 5_000 + ".jpg"}, "missing image"),
    ("captions", "images", {"file_name": "../../etc/passwd"}, "image outside the folder"),
    ("captions", "images", {"file_name": ""}, "missing id"),
    ("captions", "images", {"width": 0}, "malformed row"),
    ("captions", "images", {"width": None}, "malformed row"),
    ("captions", "images", {"height": -20}, "malformed row"),
    ("captions", "images", {"height": "20"}, "malformed row"),
    ("instances", "annotations", {"bbox": [float("nan"), 1, 2, 3]}, "malformed row"),
    ("instances", "annotations", {"bbox": [1, 1, -2, 3]}, "malformed row"),
    ("instances", "annotations", {"bbox": [100, 1, 2, 3]}, "malformed row"),
    ("instances", "annotations", {"bbox": [1, 1, 2]}, "malformed row"),
    ("instances", "annotations", {"bbox": None}, "malformed row"),
    ("instances", "annotations", {"bbox": {"x": 1}}, "malformed row"),
    ("instances", "annotations", {"bbox": [10**400, 1, 2, 3]}, "malformed row"),
    ("instances", "annotations", {"category_id": 4}, "malformed row"),
    ("instances", "annotations", {"category_id": {}}, "malformed row"),
    ("instances", "annotations", {"iscrowd": "no"}, "malformed row"),
    ("instances", "annotations", {"image_id": 12345}, "malformed row"),
]


@pytest.mark.parametrize(
    ("kind", "name", "change", "reason"), DAMAGES, ids=[str(at) for at in range(len(DAMAGES))]
)
def test_one_bad_entry_costs_one_row(
    root: Path, judge: Judge, kind: str, name: str, change: dict[str, Any], reason: str
) -> None:
    """One entry among a million must not end the ingest, nor change another image."""
    sound = {row["item_id"]: row for row in judge(CocoSource(str(root)))}
    path = root / f"annotations/{kind}_train2014.json"
    content = json.loads(path.read_text())
    content[name][0] |= change
    path.write_text(json.dumps(content))
    rows = judge(CocoSource(str(root)))
    assert {row["reason"] for row in rows if row["reason"]} == {reason}
    taken = [row for row in rows if row["reason"] is None]
    assert len(taken) >= len(sound) - 1
    spared = [row for row in taken if row == sound[row["item_id"]]]
    assert len(spared) >= len(sound) - 1


def test_two_images_of_one_number(root: Path, judge: Judge) -> None:
    """The captions are one of the two images', and nothing says whose."""
    path = root / "annotations/captions_train2014.json"
    content = json.loads(path.read_text())
    content["images"][0]["id"] = 30
    path.write_text(json.dumps(content))
    rows = judge(CocoSource(str(root)))
    taken = {row["item_id"] for row in rows if row["reason"] is None}
    assert len(taken) == 23
    assert taken.isdisjoint(_name("train2014", number)[:-4] for number in (30, 900))
    details = [row["detail"] for row in rows if row["reason"]]
    assert sum("two images have the number 30" in detail for detail in details) == 2
    assert sum("there is no image 900" in detail for detail in details) == 1


def test_entries_that_are_no_objects(root: Path, judge: Judge) -> None:
    """A null in a list of annotations is one lost annotation."""
    for kind, name in (("captions", "annotations"), ("captions", "images"),
                       ("instances", "annotations")):  # fmt: skip
        path = root / f"annotations/{kind}_val2014.json"
        content = json.loads(path.read_text())
        content[name] += [None, 7, "x", []]
        path.write_text(json.dumps(content))
    rows = judge(CocoSource(str(root)))
    assert [row["reason"] for row in rows].count("malformed row") == 12
    assert sum(row["reason"] is None for row in rows) == 25


@pytest.mark.parametrize("blank", [None, "", " ", "\u200b", float("nan")])
def test_one_blank_caption_of_five(root: Path, judge: Judge, blank: Any) -> None:
    """A blank caption is left out and counted; an image of blank captions alone has no text."""
    path = root / "annotations/captions_train2014.json"
    content = json.loads(path.read_text())
    for note in content["annotations"]:
        if note["image_id"] == 9 or note["id"] == 9003:
            note["caption"] = blank
    path.write_text(json.dumps(content))
    rows = {row["item_id"]: row for row in judge(CocoSource(str(root)))}
    image = rows[_name("train2014", 900)[:-4]]
    assert image["texts"] == [f"Caf\u00e9 900 {k}." for k in (0, 1, 2, 4)]
    assert image["blank_texts"] == 1
    assert rows[_name("train2014", 9)[:-4]]["reason"] == "missing text"
    assert sum(row["reason"] is None for row in rows.values()) == 24


def test_faulty_entries_under_every_split(
    root: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that has no image to look up must be counted under every protocol."""
    monkeypatch.setattr(coco, "QUERIES", 4)
    monkeypatch.setattr(coco, "TRAINING", 10)
    path = root / "annotations/captions_train2014.json"
    content = json.loads(path.read_text())
    content["images"][0]["width"] = 0
    path.write_text(json.dumps(content))
    listing = json.loads((root / SPLIT).read_text())
    listing["images"][5]["split"] = "fold"
    (root / SPLIT).write_text(json.dumps(listing))
    for split, reasons in (
        ("official", ["malformed row"]),
        ("karpathy", ["malformed row", "unknown split"]),
        ("mmach", ["malformed row"]),
    ):
        rows = judge(CocoSource(str(root), split=split))  # type: ignore[arg-type]
        assert sorted(row["reason"] for row in rows if row["reason"]) == reasons
