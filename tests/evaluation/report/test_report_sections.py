"""What a report says beside its figures: published ones, leaks, and how its model was selected."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html

from crossray.evaluation import evaluate_direction, get_protocol
from crossray.evaluation.published import MeasuredOn
from crossray.evaluation.report.leak_section import Leaked, LeakFindings, leak_section
from crossray.evaluation.report.report import write_report
from crossray.evaluation.report.section import PageSection, section_lines
from crossray.evaluation.report.selection_section import Selected, SelectionLineage

CLEAN = LeakFindings((), items=4000, images=3990, of_images=3990)
LEAK = Leaked("group", "test", "train", 2, 800, (("a|b", "<b>c</b>"), ("d", "e")))
SELECTED = Selected("teacher 0123", 5, 8, "R@10", "validation", 2000, "4567", same_pairs=True)


def write(folder: Path, **background: Any) -> tuple[dict[str, Any], str, Any]:
    """The report of a small evaluation: its JSON, its text, and its page as a tree."""
    ids = np.arange(12)
    labels = np.eye(4, dtype=bool)[ids % 4]
    scores = np.random.default_rng(0).normal(size=(12, 12))
    result = evaluate_direction(
        scores, ids, ids, labels, labels, get_protocol("hier"), resamples=20
    )
    written = write_report(folder, (result, result), get_protocol("hier"), {}, 0, **background)
    read = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert read == written
    page = (folder / "report.html").read_text(encoding="utf-8")
    return read, (folder / "report.md").read_text("utf-8"), html.document_fromstring(page)


def headings(root: Any) -> list[str]:
    """The page's headings of the second level."""
    return [heading.text_content() for heading in root.xpath("//h2")]


def test_a_report_without_background_claims_nothing(tmp_path: Path) -> None:
    """An empty heading would read as a check that was passed."""
    _, text, root = write(tmp_path)
    for title in ("Leak check", "Model selection", "Published figures"):
        assert title not in text
        assert title not in headings(root)


def test_leaks_stand_in_all_three_files(tmp_path: Path) -> None:
    """A reader of one of them would think that nothing leaks."""
    found = replace(CLEAN, found=(LEAK,), images=900, unchecked=("NOT compared: the pairs 89.",))
    report, text, root = write(tmp_path, leaks=found)
    assert report["leaks"]["found"] == [
        {
            "kind": "group", "split": "test", "also_in": "train", "items": 2, "of": 800,
            "examples": [["a|b", "<b>c</b>"], ["d", "e"]],
        }
    ]  # fmt: skip
    assert (report["leaks"]["images"], report["leaks"]["of_images"]) == (900, 3990)
    assert "| group | test | train | 2 of 800 | a\\|b = <b>c</b>, d = e |" in text
    rows = [[cell.text_content() for cell in row] for row in root.xpath("//table//tr")]
    assert ["group", "test", "train", "2 of 800", "a|b = <b>c</b>, d = e"] in rows
    notes = [note.text_content() for note in root.find_class("note")]
    for words in (
        "Something leaks between the splits",
        "all 4,000 items, and a sample of 900 of the 3,990 images",
        "NOT compared: the pairs 89.",
    ):
        assert any(words in note for note in notes), "it must not be overlooked"
        assert words in text


def test_a_clean_set_is_said_to_be_clean() -> None:
    """Silence could also mean that nobody looked."""
    section = leak_section(CLEAN)
    assert section.words[0] == "Nothing leaks between train, val and test."
    assert "all 3,990 images" in section.words[1]
    assert not section.alarm
    assert not section.rows
    for partly in (replace(CLEAN, images=10), replace(CLEAN, unchecked=("other pairs",))):
        limited = "Nothing leaks between train, val and test, as far as was compared."
        assert leak_section(partly).words[0] == limited


def test_texts_that_repeat_are_shown_without_an_alarm() -> None:
    """`Normal chest.` in two splits would cry wolf in every report, or be hidden."""
    section = leak_section(replace(CLEAN, found=(replace(LEAK, kind="text"),)))
    assert section.words[0].startswith("No item, group or image is in two splits, but texts are.")
    assert len(section.rows) == 1
    assert not section.alarm
    both = (replace(LEAK, kind="text"), replace(LEAK, kind="image"))
    section = leak_section(replace(CLEAN, found=both))
    assert (len(section.rows), section.alarm) == (2, True)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_selection_on_test_queries_is_an_alarm(tmp_path: Path, split: str) -> None:
    """A figure on the queries that chose the model would be believed."""
    selection = SelectionLineage((replace(SELECTED, split=split),))
    report, text, root = write(tmp_path, selection=selection)
    assert report["selection"]["models"][0]["split"] == split
    alarms = [note.text_content() for note in root.find_class("note")]
    assert any("TEST QUERIES of these pairs" in note for note in alarms) == (split == "test")
    assert ("> The teacher 0123" in text) == (split == "test")
    assert "at most 2,000 items were looked at" in text


def test_published_figures_stand_apart_from_ours(tmp_path: Path) -> None:
    """A reader must see what was measured here, and what a paper prints."""
    measured = MeasuredOn("wikipedia", {"train": 2173, "val": 231, "test": 462})
    report, text, root = write(tmp_path, measured=measured)
    own = report["metrics"]["image_to_text"]["mAP@all"]
    assert {row["value"] for row in report["published"]} == {own}
    assert {row["published"]["reproduced_here"] for row in report["published"]} == {False}
    assert headings(root)[1] == "Published figures", "right behind the results"
    (table,) = root.find_class("words")
    header, *rows = [[cell.text_content() for cell in row] for row in table.xpath(".//tr")]
    assert len(rows) == 2 * (9 + 6)
    row = dict(zip(header, rows[8], strict=True))
    assert (row["ours"], row["published"]) == (f"{own:.3f}", "0.482")
    assert (row["system"], row["source"]) == ("GPLDAN", "GPLDAN, Table 2")
    differs = "no (metric undefined in paper; sizes: test 462)"
    assert row["reproduced on this data"] == differs
    assert f"| 0.482 | mAP@50[undefined in paper] | GPLDAN |  | GPLDAN, Table 2 | {differs}" in text


def test_a_table_cell_cannot_end_its_row() -> None:
    """A caption with a bar or a line break would shift the columns."""
    lines = section_lines(PageSection("T", ["w"], ("a", "b"), [("x|y", "1\n2")], alarm=True))
    assert lines == ["## T", "", "> w", "", "| a | b |", "|---|---|", "| x\\|y | 1 2 |"]
