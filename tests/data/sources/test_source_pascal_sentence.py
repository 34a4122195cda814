"""Pascal Sentence as its copies lay it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.pascal_sentence import IMAGES, SENTENCES, PascalSentenceSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of fourteen photos."""
    for label in ("bird", "aeroplane"):
        (tmp_path / IMAGES / label).mkdir(parents=True)
        (tmp_path / SENTENCES / label).mkdir(parents=True)
        for number in range(14):
            stem = f"2008_{number + 90}"
            photo = encoded_image(number, side=12)
            (tmp_path / IMAGES / label / f"{stem}.jpg").write_bytes(photo)
            text = "".join(f"Caf\u00e9 {label} {k}. \r\n" for k in range(5)) + "\n"
            (tmp_path / SENTENCES / label / f"{stem}.txt").write_bytes(text.encode())
    return tmp_path


def test_classes(root: Path, judge: Judge) -> None:
    """Each photo must have its own five sentences and its class as label."""
    source = PascalSentenceSource(str(root))
    rows = judge(source)
    names = [f"{label}/2008_{n}" for label in ("aeroplane", "bird") for n in range(90, 104)]
    assert [row["item_id"] for row in rows] == names
    assert rows[20]["texts"] == [f"Caf\u00e9 bird {k}." for k in range(5)]
    assert rows[20]["labels"] == ["bird"]
    assert rows[20]["image"] == encoded_image(6, side=12)
    assert "found 28 photos; the set is published with 1,000" in source.plan().notes


def test_split_by_class(root: Path, judge: Judge) -> None:
    """A class without test photos would have no figure."""
    rows = judge(PascalSentenceSource(str(root)))
    assert Counter((*row["labels"], row["split"]) for row in rows) == {
        (label, split): count
        for label in ("aeroplane", "bird")
        for split, count in (("train", 4), ("val", 5), ("test", 5))
    }


def test_lost_files_are_counted(root: Path, judge: Judge) -> None:
    """A photo without sentences, or with some in another encoding, must be counted."""
    (root / SENTENCES / "bird/2008_90.txt").unlink()
    (root / SENTENCES / "bird/2008_91.txt").write_bytes(b"caf\xe9")
    (root / SENTENCES / "bird/2008_92.txt").write_text("\n")
    rows = judge(PascalSentenceSource(str(root)))
    assert [row["reason"] for row in rows if row["reason"]] == [
        "missing text", "not UTF-8", "missing text",
    ]  # fmt: skip


def test_missing_part_is_named(root: Path) -> None:
    """Photos and sentences come from the pages of one site, copied in different ways."""
    (root / SENTENCES).rename(root / "away")
    with pytest.raises(CrossRayError, match=f"has no {SENTENCES}; .*pascal-sentences"):
        PascalSentenceSource(str(root)).plan()
    (root / "away").rename(root / SENTENCES)
    (root / IMAGES).rename(root / "away")
    (root / IMAGES).mkdir()
    with pytest.raises(CrossRayError, match="has no photo such as"):
        PascalSentenceSource(str(root)).plan()
