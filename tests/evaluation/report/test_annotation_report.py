"""The report of annotation efficiency: curves, ratios, what stage 1 adds, and the hypothesis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import paired_bootstrap
from crossray.evaluation.report.study_contents import PLAIN, STAGED, write_curves

METRICS = ("R@1", "median_rank", "mAP@all")
FACTS = {
    "pairs": {"1": 100, "0.3": 30},
    "protocol": {"name": "hier"},
    "seeds": 2,
    "baseline": {"image_to_text": {"R@1": 0.01, "median_rank": 50.0, "mAP@all": 0.1}},
    "lineage": {"pairs": {"uri": "/p", "id": "a" * 64}},
    "notes": ["synthetic & <small>"],
}


def values(share: float, seed: int) -> dict[str, pa.Table]:
    """Two seeds of forty queries, of a system that reaches about `share` of precision."""
    rng = np.random.default_rng(seed)
    columns = {
        "query_id": np.tile(np.arange(40), 2),
        "R@1": (rng.random(80) < share).astype(float),
        "median_rank": rng.integers(1, 90, 80).astype(float),
        "mAP@all": np.where(np.arange(80) % 40 == 7, np.nan, share * rng.random(80)),
    }
    return {"image_to_text": pa.table(columns)}


def curves() -> dict[str, dict[float, dict[str, pa.Table]]]:
    """Both curves, at all and at 30 % of the pairs."""
    return {
        PLAIN: {1.0: values(0.9, 1), 0.3: values(0.4, 2)},
        STAGED: {1.0: values(0.95, 3), 0.3: values(0.88, 4)},
    }


def test_report_says_what_the_values_are(tmp_path: Path) -> None:
    """A ratio to another score, or an interval of other queries, would be a claim about nothing."""
    given = curves()
    report = write_curves(tmp_path, given, METRICS, FACTS)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    whole = given[PLAIN][1.0]["image_to_text"]
    for name, points in given.items():
        for fraction, tables in points.items():
            table, point = tables["image_to_text"], report["curves"][name][f"{fraction:g}"]
            metrics = point["metrics"]["image_to_text"]
            assert metrics["mAP@all"] == pytest.approx(np.nanmean(table["mAP@all"].to_numpy()))
            assert metrics["median_rank"] == np.median(table["median_rank"].to_numpy())
            ratios = point["ratios"]["image_to_text"]
            assert set(ratios) == {"R@1", "mAP@all"}, "a rank has no share"
            for metric, ratio in ratios.items():
                reached = np.nanmean(table[metric].to_numpy())
                assert ratio["value"] == pytest.approx(
                    reached / np.nanmean(whole[metric].to_numpy())
                )
                assert ratio["low"] <= ratio["value"] <= ratio["high"]
    plain, staged = (given[n][0.3]["image_to_text"] for n in (PLAIN, STAGED))
    expected = paired_bootstrap(
        staged["mAP@all"].to_numpy(), plain["mAP@all"].to_numpy(), groups=staged["query_id"]
    )
    added = report["differences"]["0.3"]["image_to_text"]["mAP@all"]
    assert added["mean"] == pytest.approx(expected.mean_difference)
    assert (added["low"], added["high"]) == pytest.approx((expected.low, expected.high))
    assert added["p_value"] >= expected.p_value, "after Holm"
    reached = report["hypothesis"]["reached"]
    assert not reached[PLAIN]["image_to_text"]["mAP@all"]
    assert report["hypothesis"]["pairs"] == 0.3
    for name in (PLAIN, STAGED):
        ratio = report["curves"][name]["0.3"]["ratios"]["image_to_text"]["mAP@all"]
        assert reached[name]["image_to_text"]["mAP@all"] == (ratio["value"] >= 0.9)


def test_page_and_text_show_both_curves(tmp_path: Path) -> None:
    """Readers see the page, not the JSON; a note must not break it."""
    write_curves(tmp_path, curves(), METRICS, FACTS)
    text, page = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()
    assert "90% is not reached" in text
    assert "| 0.3 | 30 | with stage 1 |" in text
    assert "synthetic &amp; &lt;small&gt;" in page
    assert "data:image/png;base64," in page
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_one_curve_is_enough_and_30_percent_may_be_missing(tmp_path: Path) -> None:
    """A method without a stage 1 has a curve too."""
    facts = FACTS | {"pairs": {"1": 100, "0.5": 50}}
    points = {PLAIN: {1.0: values(0.9, 1), 0.5: values(0.0, 2)}}
    report = write_curves(tmp_path, points, METRICS, facts)
    assert report["differences"] == {}
    assert report["hypothesis"]["reached"] == {}
    assert report["curves"][PLAIN]["0.5"]["ratios"]["image_to_text"]["mAP@all"]["value"] == 0.0


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    """Other queries are other difficulties; a score of 0 has no share."""
    given = curves()
    table = given[STAGED][0.3]["image_to_text"]
    given[STAGED][0.3] = {"image_to_text": table.slice(1)}
    with pytest.raises(CrossRayError, match="were asked different image_to_text queries"):
        write_curves(tmp_path, given, METRICS, FACTS)
    nothing = {PLAIN: {1.0: values(0.0, 1), 0.3: values(0.4, 2)}}
    report = write_curves(tmp_path, nothing, METRICS, FACTS)
    assert report["curves"][PLAIN]["0.3"]["ratios"]["image_to_text"]["R@1"] is None
    assert "so there is no ratio" in (tmp_path / "report.md").read_text()
