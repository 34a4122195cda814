"""Every importer against damage to one field of one row: it costs that row and is counted."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest

from crossray.cli.ingest import AnySource
from crossray.data.missing_values import is_visible
from crossray.data.sources import openclipart
from crossray.data.sources.source import Source
from crossray.stages.ingest import ingest
from support.damage import MARK, damaged
from support.one_process import Outcome, outcome
from support.small_sets import ROWS, SMALL_SETS, SmallSet

DAMAGES = int(os.environ.get("CROSSRAY_DAMAGES", "20"))


def is_same(before: dict[str, Any], after: dict[str, Any] | None) -> bool:
    """Whether a row differs in its split at most."""
    return after is not None and {**before, "split": ""} == {**after, "split": ""}


def judged(small: SmallSet, sound: Outcome, found: Outcome) -> str | None:
    """What one damage must not do, if it did."""
    changed = [item for item, row in sound.rows.items() if found.rows.get(item) != row]
    if small.drawn:
        changed = [item for item in changed if not is_same(sound.rows[item], found.rows.get(item))]
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


@pytest.mark.parametrize("name", SMALL_SETS)
def test_a_file_name_of_another_encoding(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives packed on an old Windows machine hold such names; one must not end the ingest."""
    monkeypatch.setattr(openclipart, "MIN_IMAGES", 3)
    small = SMALL_SETS[name](tmp_path)
    sound = outcome(small.source)
    names = [small.own, "*.jpg", "*.png", "*.dcm"]
    files = [path for glob in names if glob for path in sorted(tmp_path.rglob(glob))]
    for path in {file.suffix: file for file in files}.values():
        other = path.with_name(os.fsdecode(b"film_\xe9" + os.fsencode(path.suffix)))
        path.rename(other)
        found = outcome(small.source)
        same = [item for item, row in sound.rows.items() if is_same(row, found.rows.get(item))]
        assert len(same) >= len(sound.rows) - 1, path
        assert found.counted or small.listed, path
        other.rename(path)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("name", ["coco", "pascal-sentence"])
def test_the_whole_ingest(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What no UTF-8 can hold must get through Ray's workers into the list of rejected rows."""
    small = SMALL_SETS[name](tmp_path / "set")
    if name == "coco":
        path = small.folder / "annotations/captions_train2014.json"
        content = json.loads(path.read_text())
        content["annotations"][0]["caption"] = "half \ud83d"
        content["annotations"][4]["caption"] = "\u200b"
        path.write_text(json.dumps(content))
    else:
        photo = small.folder / "dataset/bird/0.jpg"
        photo.rename(photo.with_name(os.fsdecode(b"film_\xe9.jpg")))
        text = small.folder / "sentence/bird/0.txt"
        text.rename(text.with_name(os.fsdecode(b"film_\xe9.txt")))
        (small.folder / "sentence/bird/1.txt").write_text("One.\n\u00ad\nThree.\n")
    artifact = ingest(small.source, str(tmp_path / "out"), max_rejected=1.0)
    metrics = artifact.manifest.metrics
    assert (metrics["items"], metrics["rejected"]) == (ROWS - 1, {"not UTF-8": 1})
    assert metrics["blank_texts"] == 1
    screen = capsys.readouterr().err
    assert "rejected: not UTF-8" in screen
    assert "left out: blank texts" in screen
    [row] = pq.read_table(artifact.local() / "rejected.parquet").to_pylist()
    assert row["reason"] == "not UTF-8"
    assert "Traceback" not in screen
