"""The drawings of the Debian packages openclipart-svg and openclipart-png."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources import openclipart
from crossray.data.sources.openclipart import OpenClipartSource

Judge = Callable[..., list[dict[str, Any]]]

SVG = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:cc="http://web.resource.org/cc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<metadata><rdf:RDF><cc:Work rdf:about="">
<dc:title>{title}</dc:title><dc:description>{description}</dc:description>
<dc:subject><rdf:Bag>{tags}</rdf:Bag></dc:subject>
<dc:publisher><cc:Agent><dc:title>Publisher</dc:title></cc:Agent></dc:publisher>
<dc:creator><cc:Agent><dc:title>Ann Artist</dc:title></cc:Agent></dc:creator>
<cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/>
</cc:Work></rdf:RDF></metadata><path d="M0 0"/></svg>
"""


@pytest.fixture
def root(tmp_path: Path, encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six drawings, one of them linked to a second time."""
    monkeypatch.setattr(openclipart, "MIN_IMAGES", 3)
    drawings = {
        "food/fruit/apple_01": ("Apple", "A red apple.", ["food", "fruit", "hash", ""]),
        "food/fruit/apple_02": ("Apple", "", ["food", "Fruit"]),
        "food/bread": ("Bread.", "Bread", ["food"]),
        "animals/cat-1": ("Une chatte \u00e0 table", "", ["fruit", "rare"]),
        "animals/untitled": ("", "", [""]),
    }
    for name, (title, description, tags) in drawings.items():
        svg, png = tmp_path / f"svg/{name}.svg", tmp_path / f"png/{name}.png"
        svg.parent.mkdir(parents=True, exist_ok=True)
        png.parent.mkdir(parents=True, exist_ok=True)
        items = "".join(f"<rdf:li>{tag}</rdf:li>" for tag in tags)
        svg.write_text(SVG.format(title=title, description=description, tags=items), "utf-8")
        png.write_bytes(encode("PNG"))
    (tmp_path / "svg/animals/apple.svg").symlink_to("../food/fruit/apple_01.svg")
    (tmp_path / "png/animals/apple.png").symlink_to("../food/fruit/apple_01.png")
    return tmp_path


def test_drawings(root: Path, judge: Judge) -> None:
    """Wrong labels or texts here are the ground truth of the demo's multi-label search."""
    rows = {row["item_id"]: row for row in judge(OpenClipartSource(str(root)))}
    assert list(rows) == [
        "animals/cat-1", "animals/untitled", "food/bread", "food/fruit/apple_01",
        "food/fruit/apple_02",
    ]  # fmt: skip
    apple = rows["food/fruit/apple_01"]
    assert apple["texts"] == ["Apple. A red apple."]
    assert apple["labels"] == ["cat_food", "food", "fruit"]
    assert dict(apple["meta"]) == {
        "title": "Apple",
        "creator": "Ann Artist",
        "licence": "http://web.resource.org/cc/PublicDomain",
    }
    assert apple["image"] == (root / "png/food/fruit/apple_01.png").read_bytes()
    assert rows["food/bread"]["texts"] == ["Bread"]
    assert rows["animals/cat-1"]["labels"] == ["cat_animals", "fruit"]
    assert rows["animals/untitled"]["texts"] == []
    assert rows["animals/untitled"]["reason"] is None


def test_variants_stay_together(root: Path, judge: Judge) -> None:
    """A second drawing of the same apple in the test set makes search look better than it is."""
    rows = {row["item_id"]: row for row in judge(OpenClipartSource(str(root)))}
    first, second = rows["food/fruit/apple_01"], rows["food/fruit/apple_02"]
    assert first["group_id"] == second["group_id"] == "food/fruit/apple"
    assert first["split"] == second["split"]


@pytest.mark.parametrize(
    "content",
    [
        "<svg><metadata>",
        "<svg/>",
        '<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + SVG.format(
            title="&b;", description="", tags=""
        ).split("\n", 1)[1],
    ],
)  # fmt: skip
def test_unreadable_metadata_is_rejected(root: Path, judge: Judge, content: str) -> None:
    """A file that grows without bound while it is parsed must cost one row, not the machine."""
    (root / "svg/food/bread.svg").write_text(content)
    rows = [row for row in judge(OpenClipartSource(str(root))) if row["reason"]]
    assert [(row["where"], row["reason"]) for row in rows] == [
        ("svg/food/bread.svg", "malformed row")
    ]


def test_packages_are_named(tmp_path: Path) -> None:
    """The remedy is one apt-get away, for whoever is told its name."""
    with pytest.raises(CrossRayError, match="openclipart-svg and openclipart-png"):
        OpenClipartSource(str(tmp_path)).plan()
