"""docs/architecture.md, held true: rooms, pictures and places."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "crossray"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = {name for name in re.findall(r"`([a-z_/]+)/`", PAGE) if name != "platform"}
OUTSIDE = {"tests", "tune/spaces"}


def rooms() -> set[str]:
    """Folders of the package; the folder of a method is no room, for there is one a method."""
    folders = {path.parent.relative_to(PACKAGE) for path in PACKAGE.glob("*/**/__init__.py")}
    return {room.as_posix() for room in folders if room.parent.name != "methods"}


def drawing() -> ModuleType:
    """The script that draws the pictures of the docs."""
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs" / "images" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_names_every_room_and_no_other() -> None:
    """A newcomer would look for a room that is gone, or not learn of one that exists."""
    assert rooms() == NAMED - OUTSIDE
    assert all((ROOT / name).is_dir() for name in OUTSIDE)


def test_every_top_room_has_its_paragraph() -> None:
    """A room that is only mentioned leaves the reader to guess what belongs into it."""
    described = re.findall(r"^\*\*`([a-z_]+)/`\*\* ", PAGE, re.MULTILINE)
    assert sorted(described) == sorted(room for room in rooms() if "/" not in room)


def test_the_page_says_where_six_kinds_of_things_go() -> None:
    """Whoever wants to add something would have to search the package for its place."""
    _, table = PAGE.split("## Where do I add ...?")
    rows = re.findall(r"^\| an? (.+?) \| (.+?) \|", table, re.MULTILINE)
    assert len(rows) == 6
    for kind, place in rows:
        assert re.search(r"`[a-z_/]+/`", place), kind


@pytest.mark.parametrize("name", ["lineage.svg", "rooms.svg"])
def test_pictures_are_as_drawn(name: str) -> None:
    """The picture would show floors that the import contract no longer has: run `make docs`."""
    committed = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
    assert committed == drawing().pictures()[name]
