"""Every importer against damage to one field of one row: it costs that row and is counted."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any, get_args

import pytest

from crossray.cli.sources import Source as AnySource
from crossray.data.sources import openclipart
from crossray.data.sources.source import Source
from crossray.data.visible_text import is_visible
from support.damage import MARK, damaged
from support.one_process import Outcome, outcome
from support.small_sets import ROWS, SMALL_SETS, SmallSet

DAMAGES = int(os.environ.get("CROSSRAY_DAMAGES", "20"))


def only_moved(before: dict[str, Any], after: dict[str, Any] | None) -> bool:
    """Whether a row differs in its split alone."""
    return after is not None and {**before, "split": ""} == {**after, "split": ""}


def judged(small: SmallSet, sound: Outcome, found: Outcome) -> str | None:
    """What one damage must not do, if it did."""
    changed = [item for item, row in sound.rows.items() if found.rows.get(item) != row]
    if small.drawn:
        changed = [
            item for item in changed if not only_moved(sound.rows[item], found.rows.get(item))
        ]
    if len(changed) > 1:
        return f"{len(changed)} rows are changed"
    told = found.counted or found.notes != sound.notes
    renamed = found.rows.keys() - sound.rows.keys()
    if not told and not renamed and any(item not in found.rows for item in changed):
        return "a row is lost without a count"
    for item in changed:
        before, after = sound.rows[item], found.rows.get(item)
        captions = after is not None and not after["sections"]
        if captions and not told and len(after["texts"]) < len(before["texts"]):
            return "a caption is lost without a count"
    return next(filter(None, map(improper, found.rows.values())), None)


def improper(row: dict[str, Any]) -> str | None:
    """What in a row that was taken is no proper value."""
    shown = [*row["texts"], row["item_id"], row["group_id"], *row["labels"]]
    if not all(map(is_visible, shown)):
        return "a blank text, name or label was taken"
    if any(str(MARK) in text for text in shown):
        return "a number was taken for a text"
    boxes = [[box[corner] for corner in ("x0", "x1", "y0", "y1")] for box in row["boxes"]]
    if not all(0 <= x0 <= x1 <= 1 and 0 <= y0 <= y1 <= 1 for x0, x1, y0, y1 in boxes):
        return "a box outside of the image was taken"
    return None


def test_every_importer_is_here() -> None:
    """An importer that is left out here is one that a single bad row may stop."""
    known = {
        args[0].name
        for arm in get_args(AnySource)
        if issubclass((args := get_args(arm))[0], Source)
    }
    assert known - {name.split(" in ")[0] for name in SMALL_SETS} == {"phantom"}


@pytest.mark.parametrize("name", SMALL_SETS)
def test_one_damage_costs_one_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad cell among a million must not end the ingest, nor vanish without a count."""
    monkeypatch.setattr(openclipart, "MIN_IMAGES", 3)
    small = SMALL_SETS[name](tmp_path / "set")
    sound = outcome(small.source)
    assert len(sound.rows) >= ROWS
    assert sound.counted == 0
    failures = []
    for seed in range(DAMAGES):
        with damaged(small, seed) as told:
            try:
                problem = judged(small, sound, outcome(small.source))
            except Exception as error:
                problem = "".join(traceback.format_exception(error)[-2:])
        if problem:
            failures.append(f"seed {seed}, {told}: {problem}")
    assert not failures, "\n".join(failures)
