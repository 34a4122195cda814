"""The report of an ablation: its numbers, its page and its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from lxml import html

from crossray.core.errors import CrossRayError
from crossray.evaluation.report.study_contents import write_variants
from crossray.evaluation.significance.bootstrap import confidence_interval, paired_bootstrap
from crossray.evaluation.significance.claims import Claim

DIRECTIONS = ("image_to_text", "text_to_image")
METRICS = ("R@10", "median_rank", "mAP@all", "P@3")
FACTS: dict[str, Any] = {
    "title": "Ablation of hier",
    "seeds": 2,
    "protocol": {"name": "hier"},
    "baseline": {d: {"R@10": 0.1, "median_rank": 50.0, "mAP@all": 0.2} for d in DIRECTIONS},
    "lineage": {"pairs": {"id": "a" * 64, "uri": "/p"}},
    "notes": ["<b>Synthetic.</b>"],
}


def values_of(seed: int, names: tuple[str, ...] = ("full", "less", "other")) -> dict[str, Any]:
    """Values of 60 queries under two seeds; some queries have no mAP."""
    rng = np.random.default_rng(seed)
    ids = [f"q{number}" for number in range(60)] * 2
    empty = rng.random(60) < 0.2

    def table(gain: float) -> pa.Table:
        precision = np.where(np.tile(empty, 2), np.nan, rng.random(120) * (0.5 + gain))
        rank = rng.integers(1, 30, 120).astype(float)
        return pa.table(
            {"query_id": ids, "R@10": (rank <= 10).astype(float), "median_rank": rank,
             "mAP@all": precision}
        )  # fmt: skip

    return {
        name: {direction: table(0.4 * (name == "full")) for direction in DIRECTIONS}
        for name in names
    }


def write(folder: Path, values: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """The report of these values."""
    folder.mkdir()
    changes = {"full": [], "less": ["method.gate = False"], "other": ["method.margin = 0.1"]}
    claims = [Claim("full", "less", "mAP@all", "Table 3")]
    sizes = {"full": 1200, "less": 1000, "other": 1200}
    return write_variants(
        folder, values, "full", METRICS, changes, sizes, {**FACTS, **facts}, claims
    )


def test_report_holds_the_values_of_every_variant(tmp_path: Path) -> None:
    """Programs read the JSON; its numbers are those of the queries and of nothing else."""
    values = values_of(1)
    write(tmp_path / "r", values)
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert list(report["variants"]) == list(values)
    raw = []
    for name, tables in values.items():
        found = report["variants"][name]
        for direction, table in tables.items():
            groups = table["query_id"].to_pylist()
            assert list(found["metrics"][direction]) == list(METRICS[:3])
            for metric, value in found["metrics"][direction].items():
                column = table[metric].to_pylist()
                kept = sorted(number for number in column if number == number)
                middle = (kept[len(kept) // 2 - 1] + kept[len(kept) // 2]) / 2
                median = metric == "median_rank"
                assert value == pytest.approx(middle if median else sum(kept) / len(kept))
                ends = confidence_interval(column, "median" if median else "mean", groups=groups)
                assert found["intervals"][direction][metric] == pytest.approx(ends)
            differences = found["differences"].get(direction, {})
            assert list(differences) == ([] if name == "full" else ["R@10", "mAP@all"])
            for metric, difference in differences.items():
                base = values["full"][direction][metric].to_pylist()
                wanted = paired_bootstrap(table[metric].to_pylist(), base, groups=groups)
                assert difference["mean"] == pytest.approx(wanted.mean_difference)
                assert difference["low"] == pytest.approx(wanted.low)
                assert difference["high"] == pytest.approx(wanted.high)
                raw.append((wanted.p_value, difference["p_value"]))
    largest = 0.0
    for rank, (p_value, adjusted) in enumerate(sorted(raw)):
        largest = max(largest, min(1.0, (len(raw) - rank) * p_value))
        assert adjusted == pytest.approx(largest)


def test_page_and_text_show_the_tables(tmp_path: Path) -> None:
    """What people read is what the JSON says; a note is text, never markup."""
    report = write(tmp_path / "r", values_of(2))
    page = html.fromstring((tmp_path / "r" / "report.html").read_text())
    markdown = (tmp_path / "r" / "report.md").read_text()
    heads = ["variant", "R@10", "median_rank", "mAP@all"]
    assert [head.text_content() for head in page.xpath("(//table)[1]//th")] == heads
    rows = [[c.text_content() for c in row.xpath("td")] for row in page.xpath("(//table)[1]//tr")]
    assert [row[0] for row in rows[1:]] == ["full", "less", "other", "chance"]
    value = report["variants"]["less"]["metrics"]["image_to_text"]["mAP@all"]
    difference = report["variants"]["less"]["differences"]["image_to_text"]["mAP@all"]
    assert rows[2][3].startswith(f"{value:.3f} [")
    assert f"; {difference['mean']:+.3f} [" in rows[2][3]
    assert rows[2][3].endswith("**"), "more than half of the mAP is gone"
    assert ";" not in rows[1][3]
    assert f"| {' | '.join(rows[2])} |" in markdown
    assert report["claims"][0]["words"] in markdown
    assert "| less | 1,000 | method.gate = False |" in markdown
    assert page.xpath("//p[@class='note']")[0].text_content() == "<b>Synthetic.</b>"
    assert (tmp_path / "r" / "variants.png").read_bytes().startswith(b"\x89PNG")
    assert "One seed" not in markdown
    write(tmp_path / "s", values_of(2), seeds=1)
    assert "One seed says nothing" in (tmp_path / "s" / "report.md").read_text()


def test_other_queries_are_refused(tmp_path: Path) -> None:
    """A paired test of unpaired queries gives a number that means nothing."""
    values = values_of(3)
    table = values["less"]["text_to_image"]
    values["less"]["text_to_image"] = table.take(np.roll(np.arange(120), 1))
    with pytest.raises(CrossRayError, match="other text_to_image queries than full"):
        write(tmp_path / "r", values)
