"""ImageCLEFmedical Caption 2023; every value here is invented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.imageclef_caption import NAMES, TABLE, ImageclefCaptionSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]
KINDS = ("caption_prediction", "concept_detection")


def _name(part: str, number: int) -> str:
    return f"ImageCLEFmedical_Caption_2023_{part}_{number:06d}"


@pytest.fixture(params=["\t", ","])
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Fifteen training and five validation images, the last without a concept."""
    separator = request.param
    for part, count in (("train", 15), ("valid", 5)):
        (tmp_path / part).mkdir()
        rows: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for number in reversed(range(count)):
            name = _name(part, number)
            (tmp_path / part / f"{name}.jpg").write_bytes(encoded_image(number))
            rows[KINDS[0]].append(f'{name}{separator}"CT of a caf\u00e9, ""axial"" {number}"\n')
            cuis = "" if number == count - 1 else "C0040405;C0000001"
            rows[KINDS[1]].append(f"{name}{separator}{cuis}\n")
        for kind, second in zip(KINDS, ("caption", "cuis"), strict=True):
            text = f"ID{separator}{second}\n" + "".join(rows[kind])
            (tmp_path / TABLE.format(kind, part)).write_text(text, "utf-8")
    return tmp_path


def test_tables(root: Path, judge: Judge) -> None:
    """The tables are tab-separated in spite of their names; some copies have commas."""
    source = ImageclefCaptionSource(str(root))
    rows = judge(source)
    assert [row["item_id"] for row in rows] == [
        *(_name("train", number) for number in range(15)),
        *(_name("valid", number) for number in range(5)),
    ]
    assert [row["split"] for row in rows] == ["train"] * 15 + ["val"] * 5
    assert rows[3]["texts"] == ['CT of a caf\u00e9, "axial" 3']
    assert rows[3]["labels"] == ["C0040405", "C0000001"]
    assert rows[3]["image"] == encoded_image(3)
    assert rows[-1]["labels"] == []
    assert "found 5 images in valid; the set is published with 10,437" in source.plan().notes


def test_concepts_by_name(root: Path, judge: Judge) -> None:
    """Identifiers alone do not tell a CT from a plain film."""
    (root / NAMES).write_text("cui\tname\nC0040405\tX-Ray Computed Tomography\nC9\tNone\n")
    rows = judge(ImageclefCaptionSource(str(root)))
    assert dict(rows[3]["meta"])["concepts"] == "X-Ray Computed Tomography"
    assert rows[3]["labels"] == ["C0040405", "C0000001"]
    assert "concepts" not in dict(rows[-1]["meta"])


@pytest.mark.parametrize(
    "name", ["train", "valid", *(TABLE.format(kind, "valid") for kind in KINDS)]
)
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Images, captions and concepts are separate downloads."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=rf"has no {name}; .*imageclef.org"):
        ImageclefCaptionSource(str(root)).plan()


def test_other_table(root: Path) -> None:
    """A table of another shape must be refused by name."""
    (root / TABLE.format(KINDS[0], "train")).write_text("ID,a,b\n1,2,3\n")
    with pytest.raises(CrossRayError, match="has 3 columns, not an id"):
        ImageclefCaptionSource(str(root)).plan()


def test_lost_image_is_counted(root: Path, judge: Judge) -> None:
    """An image that was lost must be counted."""
    (root / "train" / f"{_name('train', 4)}.jpg").unlink()
    rows = judge(ImageclefCaptionSource(str(root)))
    assert [row["where"] for row in rows if row["reason"]] == [_name("train", 4)]
