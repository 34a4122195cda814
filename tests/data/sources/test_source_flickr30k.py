"""Flickr30k in its official layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.flickr30k import IMAGES, SPLIT, TOKENS, Flickr30kSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty photos, five captions each, and the split of fifteen, two and three."""
    (tmp_path / IMAGES[0]).mkdir()
    names = [f"{1000 - i}.jpg" for i in range(20)]
    tokens = []
    for i, name in enumerate(names):
        (tmp_path / IMAGES[0] / name).write_bytes(encoded_image(i))
        tokens += [f"{name}#{k}\tA caf\u00e9 , number {k} ." for k in (0, 2, 1, 3, 4)]
    (tmp_path / TOKENS).write_text("\n".join(tokens) + "\n", "utf-8")
    words = ["train"] * 15 + ["val"] * 2 + ["test"] * 3
    entries = [
        {
            "filename": name,
            "split": word,
            "sentences": [{"raw": f"Caf\u00e9 {name} {k}."} for k in range(5)],
        }
        for name, word in zip(names, words, strict=True)
    ]
    (tmp_path / SPLIT).write_text(json.dumps({"images": entries, "dataset": "flickr30k"}))
    return tmp_path


def test_karpathy_split(root: Path, judge: Judge) -> None:
    """Published figures of caption retrieval are in this split and no other."""
    source = Flickr30kSource(str(root))
    rows = judge(source)
    assert [row["split"] for row in rows] == ["train"] * 15 + ["val"] * 2 + ["test"] * 3
    assert rows[0]["item_id"] == rows[0]["group_id"] == "1000.jpg"
    assert rows[0]["texts"] == [f"Caf\u00e9 1000.jpg {k}." for k in range(5)]
    assert rows[3]["image"] == encoded_image(3)
    assert dict(rows[0]["meta"])["licence"].startswith("Flickr")
    assert "found 20 photos; the set is published with 31,014" in source.plan().notes


def test_token_file(root: Path, judge: Judge) -> None:
    """Without the split file the captions of the token file must come in their own order."""
    (root / SPLIT).unlink()
    (root / IMAGES[0]).rename(root / IMAGES[1])
    rows = judge(Flickr30kSource(str(root), split="drawn"))
    assert [row["item_id"] for row in rows] == [f"{1000 - i}.jpg" for i in range(20)]
    assert rows[0]["texts"] == [f"A caf\u00e9 , number {k} ." for k in range(5)]
    assert all(row["reason"] is None for row in rows)


@pytest.mark.parametrize(
    ("name", "split"), [(TOKENS, "drawn"), (SPLIT, "karpathy"), (IMAGES[0], "karpathy")]
)
def test_missing_part_is_named(root: Path, name: str, split: Any) -> None:
    """Whoever has half of the set must read which half, and where the rest is."""
    (root / name).rename(root / "away")
    with pytest.raises(CrossRayError, match=f"has no {name}.*https://"):
        Flickr30kSource(str(root), split).plan()


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"images": [{"filename": "a.jpg", "split": "x"}]}']
)
def test_damaged_split_file(root: Path, content: str) -> None:
    """A wrong split file must be refused, not read as an empty set."""
    (root / SPLIT).write_text(content)
    with pytest.raises(CrossRayError, match=SPLIT):
        Flickr30kSource(str(root)).plan()


def test_missing_photo_is_rejected(root: Path, judge: Judge) -> None:
    """A photo that was lost must be counted, not dropped."""
    (root / IMAGES[0] / "990.jpg").unlink()
    rows = judge(Flickr30kSource(str(root)))
    assert [(row["where"], row["reason"]) for row in rows if row["reason"]] == [
        ("990.jpg", "missing image")
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"filename": None}, "malformed row"),
        ({"filename": "\ud83d.jpg"}, "not UTF-8"),
        ({"split": "fold"}, "unknown split"),
        ({"split": None}, "unknown split"),
        ({"split": ["train"]}, "unknown split"),
        ({"sentences": None}, "malformed row"),
        ({"sentences": [None]}, "malformed row"),
        ({"sentences": "A dog."}, "malformed row"),
        ({"sentences": [{"raw": 7}]}, "malformed row"),
        ({"sentences": [{"raw": ["A dog."]}]}, "malformed row"),
        ({"sentences": []}, "missing text"),
        ({"sentences": [{"tokens": ["dog"]}]}, "missing text"),
        ({"sentences": [{"raw": "\u200b"}, {"raw": None}]}, "missing text"),
    ],
)
def test_one_bad_entry_costs_one_row(
    root: Path, judge: Judge, change: dict[str, Any], reason: str
) -> None:
    """One entry among thirty thousand must not end the ingest."""
    sound = judge(Flickr30kSource(str(root)))
    content = json.loads((root / SPLIT).read_text())
    content["images"][2] |= change
    (root / SPLIT).write_text(json.dumps(content))
    rows = judge(Flickr30kSource(str(root)))
    assert [row["reason"] for row in rows if row["reason"]] == [reason]
    assert [row for row in rows if row["reason"] is None] == sound[:2] + sound[3:]


def test_one_blank_caption_of_five(root: Path, judge: Judge) -> None:
    """A blank caption must neither cost the photo nor pass for a caption."""
    content = json.loads((root / SPLIT).read_text())
    content["images"][0]["sentences"][1]["raw"] = "\u200b"
    content["images"][0]["sentences"][3]["raw"] = None
    (root / SPLIT).write_text(json.dumps(content))
    first = judge(Flickr30kSource(str(root)))[0]
    assert first["texts"] == [f"Caf\u00e9 1000.jpg {k}." for k in (0, 2, 4)]
    assert first["blank_texts"] == 2


def test_not_json(root: Path) -> None:
    """A file that is damaged as a whole is refused in one sentence, whatever its damage."""
    for content in ("{", "[" * 100_000, '{"images": [' + "9" * 5_000 + "]}", "\ud83d"):
        (root / SPLIT).write_text(content, errors="surrogatepass")
        with pytest.raises(CrossRayError, match=SPLIT) as caught:
            Flickr30kSource(str(root)).plan()
        assert "\n" not in str(caught.value)
