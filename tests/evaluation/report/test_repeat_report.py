"""Spread over runs, the report of repeated runs, and the comparison of two of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from scipy import stats

from crossray.cli import main
from crossray.core.artifacts import Artifact, Parent, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.report.report import DIRECTIONS
from crossray.evaluation.report.study_contents import Over, write_spread
from crossray.evaluation.significance.compare import compare_repeats
from crossray.evaluation.significance.paired_t_test import spread_of

METRICS = ("R@10", "median_rank", "mAP@all")


def run_report(rng: np.random.Generator, gain: float = 0.0, **extra: float) -> dict[str, Any]:
    """What an evaluation writes into `report.json`, as far as it is read."""
    metrics = {
        direction: {
            "R@10": 0.5 + gain + rng.normal(0, 0.02),
            "median_rank": 9.0 + rng.integers(0, 4),
            "mAP@all": 0.3 + rng.normal(0, 0.02),
            "mAP@all[rare] random": 0.1,
            **extra,
        }
        for direction in DIRECTIONS
    }
    named = (*METRICS, *extra)
    return {
        "metrics": metrics,
        "intervals": {direction: {name: [0, 1] for name in named} for direction in DIRECTIONS},
        "baseline": {direction: {name: rng.random() for name in named} for direction in DIRECTIONS},
        "protocol": {"name": "hier"},
    }


def run_reports(seed: int, gain: float = 0.0, runs: int = 5) -> dict[str, dict[str, Any]]:
    """Reports of `runs` seeds."""
    rng = np.random.default_rng(seed)
    return {f"seed-{number}": run_report(rng, gain) for number in range(runs)}


def publish(
    folder: Path, name: str, runs: dict[str, Any], over: Over = "seeds", pairs: str = "p"
) -> Artifact:
    """A report of repeated runs, as the job publishes it."""
    config = {"repeat": over, "runs": list(runs), "split": "test", "protocol": "hier"}
    with create(str(folder / name), "report", config, [Parent("pairs", pairs, "u")]) as draft:
        facts = {"lineage": {"pairs": {"id": pairs, "uri": "u"}}, "notes": ["<b>A note.</b>"]}
        report = write_spread(draft.path, runs, over, facts)
        draft.metrics.update(report["metrics"])
    return open_artifact(str(folder / name))


def by_the_formula(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean, deviation and ends of the interval, term by term."""
    count = len(values)
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    half = stats.t.isf(0.025, count - 1) * deviation / math.sqrt(count)
    return mean, deviation, mean - half, mean + half


@pytest.mark.parametrize("runs", [2, 3, 5, 17])
def test_spread_is_that_of_the_formula_and_of_scipy(runs: int) -> None:
    """A deviation over n, or a normal quantile, would make five seeds look surer than they are."""
    for seed in range(20):
        values = np.random.default_rng((seed, runs)).normal(seed, 1 + seed, runs)
        found = spread_of(values)
        shown = (found.mean, found.deviation, found.low, found.high)
        np.testing.assert_allclose(shown, by_the_formula(values.tolist()), rtol=1e-10)
        interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        np.testing.assert_allclose((found.low, found.high), tuple(interval), rtol=1e-9, atol=1e-12)


def test_spread_of_equal_values_is_none() -> None:
    """A recipe without any randomness is a valid result."""
    found = spread_of([0.25] * 5)
    assert (found.mean, found.deviation, found.low, found.high) == (0.25, 0, 0.25, 0.25)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, math.nan], [[0.5, 0.6]]])
def test_spread_needs_numbers_of_two_runs(values: list[Any]) -> None:
    """NaN in a table looks like a result."""
    with pytest.raises(CrossRayError, match="two runs or more"):
        spread_of(values)


def test_report_holds_means_spreads_and_every_run(tmp_path: Path) -> None:
    """Programs read the JSON; its numbers are those of the runs and of nothing else."""
    runs = run_reports(1)
    publish(tmp_path, "r", runs)
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    for direction in DIRECTIONS:
        assert tuple(report["metrics"][direction]) == METRICS
        for metric in METRICS:
            values = [run["metrics"][direction][metric] for run in runs.values()]
            mean, deviation, low, high = by_the_formula(values)
            assert report["metrics"][direction][metric] == pytest.approx(mean)
            assert report["standard_deviations"][direction][metric] == pytest.approx(deviation)
            assert report["intervals"][direction][metric] == pytest.approx([low, high])
            chance = [run["baseline"][direction][metric] for run in runs.values()]
            assert report["baseline"][direction][metric] == pytest.approx(sum(chance) / 5)
            assert [run[direction][metric] for run in report["runs"].values()] == values
    assert list(report["runs"]) == list(runs)


def test_metrics_that_a_run_lacks_are_left_out(tmp_path: Path) -> None:
    """A fold without rare labels has no figure for them, and a mean over the others is another."""
    rng = np.random.default_rng(2)
    runs = {
        "fold-1": run_report(rng, **{"mAP@all[rare]": 0.2}),
        "fold-2": run_report(rng),
    }
    publish(tmp_path, "r", runs, "folds")
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert tuple(report["metrics"]["image_to_text"]) == METRICS
    assert "too narrow" in (tmp_path / "r" / "report.md").read_text()


def test_page_and_text_show_the_table(tmp_path: Path) -> None:
    """What people read is what the JSON says; a note is text, never markup."""
    publish(tmp_path, "r", run_reports(3))
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    page = html.fromstring((tmp_path / "r" / "report.html").read_text())
    markdown = (tmp_path / "r" / "report.md").read_text()
    heads = ["metric", "mean", "sd", "95 % interval", "chance", *report["runs"]]
    assert [head.text_content() for head in page.xpath("(//table)[1]//th")] == heads
    rows = [
        [cell.text_content() for cell in row.xpath("td")] for row in page.xpath("(//table)[1]//tr")
    ]
    first = report["metrics"]["image_to_text"]["R@10"]
    assert rows[1][:2] == ["R@10", f"{first:.3f}"]
    assert len(rows) == 1 + len(METRICS)
    assert page.xpath("//p[@class='note']")[0].text_content() == "<b>A note.</b>"
    assert page.xpath("//img/@src")[0].startswith("data:image/png;base64,")
    assert f"| {' | '.join(rows[1])} |" in markdown
    assert (tmp_path / "r" / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_repeats_are_compared_by_the_paired_t_test(tmp_path: Path) -> None:
    """A star on a difference that the choice of seeds explains would be believed."""
    base, better = run_reports(4), run_reports(5, gain=0.1)
    reports = [publish(tmp_path, "base", base), publish(tmp_path, "better", better)]
    lines = compare_repeats(reports)
    assert [(line.direction, line.metric) for line in lines] == [
        (direction, metric) for direction in DIRECTIONS for metric in METRICS
    ]
    p_values = []
    for line in lines:
        a, b = (
            [run["metrics"][line.direction][line.metric] for run in runs.values()]
            for runs in (better, base)
        )
        wanted = stats.ttest_rel(a, b)
        (found,) = line.differences
        assert line.values == pytest.approx((sum(b) / 5, sum(a) / 5))
        assert found.mean == pytest.approx(sum(a) / 5 - sum(b) / 5)
        assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval(0.95)))
        p_values.append((float(wanted.pvalue), found.p_value))
    ordered, largest = sorted(p_values), 0.0
    for rank, (p, adjusted) in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p))
        assert adjusted == pytest.approx(largest)
    assert ordered[0][1] < 0.05, "the gain is ten times the spread"


def test_the_command_line_compares_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`crossray compare` takes both sorts of reports, and says which test it made."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    publish(tmp_path, "base", run_reports(6))
    publish(tmp_path, "better", run_reports(7, gain=0.2))
    main(["compare", "base", "better"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "paired t-test over the 5 runs, Holm over the 6 differences" in shown
    with create(str(tmp_path / "single"), "report", {"split": "test", "protocol": "hier"}):
        pass
    with pytest.raises(SystemExit):
        main(["compare", "single", "better"])
    assert "is of a single run" in capsys.readouterr().err


def test_other_runs_or_data_are_refused(tmp_path: Path) -> None:
    """A paired test of unpaired runs gives a number that means nothing."""
    base = publish(tmp_path, "base", run_reports(8))
    with pytest.raises(CrossRayError, match="has the runs"):
        compare_repeats([base, publish(tmp_path, "three", run_reports(8, runs=3))])
    with pytest.raises(CrossRayError, match="has the repeat 'folds'"):
        compare_repeats([base, publish(tmp_path, "folds", run_reports(8), "folds")])
    with pytest.raises(CrossRayError, match="measured on the pairs q"):
        compare_repeats([base, publish(tmp_path, "other", run_reports(8), pairs="q")])
    with pytest.raises(CrossRayError, match="two reports or more"):
        compare_repeats([base])
