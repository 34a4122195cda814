"""Flickr8k in its official layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.flickr8k import IMAGES, LISTS, TOKENS, Flickr8kSource

Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path, encode: Callable[..., bytes]) -> Path:
    """Thirty photos, five captions each, and the entry that names a `.jpg.1`."""
    (tmp_path / IMAGES).mkdir()
    names = [f"{900 - i}_ab{i}.jpg" for i in range(30)]
    lines = []
    for i, name in enumerate(names):
        (tmp_path / IMAGES / name).write_bytes(encode("JPEG", seed=i))
        lines += [f"{name}#{k}\tCaption {k} of {name} \u00e9." for k in (1, 0, 2, 4, 3)]
    lines += [f"2258277193_586949ec62.jpg.1#{k}\tPeople wait ." for k in range(5)]
    (tmp_path / TOKENS).write_text("\n".join(lines) + "\n", "utf-8")
    for listed, part in zip(LISTS, (names[:20], names[20:24], names[24:]), strict=True):
        (tmp_path / listed).write_text("\n".join(part) + "\n")
    return tmp_path


def test_official_layout(root: Path, judge: Judge) -> None:
    """Figures on Flickr8k may be set beside published ones only in the official split."""
    source = Flickr8kSource(str(root))
    rows = judge(source)
    assert [row["split"] for row in rows] == ["train"] * 20 + ["val"] * 4 + ["test"] * 6
    first = rows[0]
    assert first["item_id"] == "900_ab0.jpg"
    assert first["texts"] == [f"Caption {k} of 900_ab0.jpg \u00e9." for k in range(5)]
    assert first["image"] == (root / IMAGES / "900_ab0.jpg").read_bytes()
    assert all(row["reason"] is None for row in rows)
    assert ".jpg.1" in source.plan().notes[1]


def test_two_archives_side_by_side(root: Path, judge: Judge) -> None:
    """The set comes as two archives, each of which unpacks to a folder of its own."""
    text = root / "Flickr8k_text"
    text.mkdir()
    for name in (TOKENS, *LISTS):
        (root / name).rename(text / name)
    assert len(judge(Flickr8kSource(str(root)))) == 30


@pytest.mark.parametrize("name", [TOKENS, IMAGES, *LISTS])
def test_missing_part_is_named(root: Path, name: str) -> None:
    """Whoever unpacked only half of the set must read which half."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=f"has no {name}"):
        Flickr8kSource(str(root)).plan()


def test_missing_photo_and_caption_are_rejected(root: Path, judge: Judge) -> None:
    """A listed photo without file or caption must be counted, not dropped."""
    (root / IMAGES / "899_ab1.jpg").unlink()
    with (root / "Flickr_8k.devImages.txt").open("a") as stream:
        stream.write("unknown.jpg\n")
    rows = judge(Flickr8kSource(str(root)))
    assert [(row["where"], row["reason"]) for row in rows if row["reason"]] == [
        ("899_ab1.jpg", "missing image"),
        ("unknown.jpg", "missing text"),
    ]


def test_damaged_lines_of_the_token_file(root: Path, judge: Judge) -> None:
    """A line that names no caption must be counted; reading on in silence would lose it."""
    path = root / TOKENS
    path.write_text(path.read_text().replace("900_ab0.jpg#1\t", "900_ab0.jpg#1 no tab "))
    rows = judge(Flickr8kSource(str(root)))
    [line] = [row for row in rows if row["reason"]]
    assert (line["reason"], "no tab" in line["detail"]) == ("malformed row", True)
    [photo] = [row for row in rows if row["item_id"] == "900_ab0.jpg"]
    assert len(photo["texts"]) == 4


def test_blank_captions(root: Path, judge: Judge) -> None:
    """One blank caption of five must not cost the photo, nor pass for a caption."""
    path = root / TOKENS
    text = path.read_text().replace("Caption 1 of 900_ab0.jpg \u00e9.", "\u200b")
    path.write_text(text.replace("Caption 3 of 900_ab0.jpg \u00e9.", ""))
    [photo] = [row for row in judge(Flickr8kSource(str(root))) if row["item_id"] == "900_ab0.jpg"]
    assert photo["texts"] == [f"Caption {k} of 900_ab0.jpg \u00e9." for k in (0, 2, 4)]
    assert (photo["reason"], photo["blank_texts"]) == (None, 2)
