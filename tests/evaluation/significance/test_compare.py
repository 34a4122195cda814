"""Two or more reports side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from crossray.cli import main
from crossray.core.artifacts import Artifact, Parent, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation import bonferroni, holm, paired_bootstrap, paired_permutation
from crossray.evaluation.report.report import DIRECTIONS
from crossray.evaluation.significance.compare import (
    PER_QUERY,
    Difference,
    Line,
    compare_reports,
    comparison_table,
)

QUERIES = 60


def publish(
    folder: Path, name: str, gain: float = 0.0, seed: int = 0, pairs: str = "p", **config: Any
) -> Artifact:
    """A report whose queries 2 n and 2 n + 1 belong together; `gain` is what its system adds."""
    rng = np.random.default_rng(1)
    noise = np.random.default_rng(seed).normal(0, 0.05, QUERIES)
    metrics: dict[str, dict[str, float]] = {}
    settings = {"split": "test", "protocol": "flickr", **config}
    with create(str(folder / name), "report", settings, [Parent("pairs", pairs, "u")]) as draft:
        for direction in DIRECTIONS:
            ap = np.clip(rng.random(QUERIES) + noise + gain, 0, 1)
            ap[3] = np.nan
            columns = {
                "query_id": [f"q{n // 2}" for n in range(QUERIES)],
                "median_rank": rng.integers(1, 9, QUERIES).astype(float),
                "mAP@all": ap,
            }
            pq.write_table(pa.table(columns), draft.path / f"{PER_QUERY}-{direction}.parquet")
            metrics[direction] = {
                "median_rank": float(np.median(columns["median_rank"])),
                "mAP@all": float(np.nanmean(ap)),
            }
        draft.metrics.update(metrics)
    return open_artifact(str(folder / name))


def test_differences_are_those_of_the_paired_bootstrap(tmp_path: Path) -> None:
    """A star on a difference that chance explains would be believed."""
    reports = [publish(tmp_path, f"r{n}", gain, n) for n, gain in enumerate((0, 0.0, 0.1))]
    lines = compare_reports(reports)
    assert [(line.direction, line.metric) for line in lines] == [
        (direction, metric) for direction in DIRECTIONS for metric in ("median_rank", "mAP@all")
    ]
    p_values = []
    for line in lines:
        assert line.values == tuple(
            r.manifest.metrics[line.direction][line.metric] for r in reports
        )
        if line.metric == "median_rank":
            assert line.differences == ()
            continue
        first, *others = (
            pq.read_table(r.local() / f"{PER_QUERY}-{line.direction}.parquet") for r in reports
        )
        for rows, found in zip(others, line.differences, strict=True):
            wanted = paired_bootstrap(
                rows["mAP@all"].to_numpy(),
                first["mAP@all"].to_numpy(),
                groups=np.array(first["query_id"].to_pylist()),
            )
            np.testing.assert_allclose(
                [found.mean, found.low, found.high],
                [wanted.mean_difference, wanted.low, wanted.high],
                atol=1e-12,
            )
            p_values.append((wanted.p_value, found.p_value))
    for p, adjusted in p_values:
        no_larger = sum(other <= p for other, _ in p_values)
        assert p <= adjusted <= min(1, 4 * p), "four differences make the family"
        assert adjusted >= (4 - no_larger + 1) * p - 1e-12
    assert [line.differences[1].p_value < 0.01 for line in lines if line.differences] == [True] * 2


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_the_permutation_test_gives_the_p_values_alone(tmp_path: Path, correction: Any) -> None:
    """A test that was asked for and not made, or an interval that is lost with it."""
    reports = [publish(tmp_path, f"r{n}", gain, n) for n, gain in enumerate((0, 0.02, 0.05))]
    lines = compare_reports(reports, 0, "permutation", correction)
    usual = compare_reports(reports)
    p_values = []
    for line, other in zip(lines, usual, strict=True):
        assert line.values == other.values
        ends = [[(d.mean, d.low, d.high) for d in each.differences] for each in (line, other)]
        assert ends[0] == ends[1], "the intervals are the bootstrap's"
        if line.differences:
            first, *others = (
                pq.read_table(r.local() / f"{PER_QUERY}-{line.direction}.parquet") for r in reports
            )
            ids = np.array(first["query_id"].to_pylist())
            p_values += [
                paired_permutation(
                    rows["mAP@all"].to_numpy(), first["mAP@all"].to_numpy(), groups=ids
                ).p_value
                for rows in others
            ]
    found = [difference.p_value for line in lines for difference in line.differences]
    corrected = {"holm": holm, "bonferroni": bonferroni}[correction](p_values)
    np.testing.assert_allclose(found, corrected, rtol=1e-12)
    assert found != [d.p_value for line in usual for d in line.differences]


def test_the_table_marks_what_is_more_than_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`crossray compare` is how people see it."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    publish(tmp_path, "base")
    publish(tmp_path, "same")
    publish(tmp_path, "better", 0.2)
    main(["compare", "base", "same", "better"])
    shown = capsys.readouterr().out
    for words in ("base", "same", "better", "mAP@all", "Holm over the 4 differences"):
        assert words in " ".join(shown.split()), "the caption is as narrow as the table"
    rows = [line for line in shown.splitlines() if "mAP@all" in line]
    assert all("(+0.000 [+0.000, +0.000])" in row and row.count("**") == 1 for row in rows)
    main(["compare", "base", "better", "--test", "permutation", "--correction", "bonferroni"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "paired permutation test over queries, Bonferroni over the 2 differences" in shown


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"pairs": "q"}, "measured on the pairs q"),
        ({"split": "val"}, "has the split 'val'"),
        ({"protocol": "hier"}, "has the protocol 'hier'"),
    ],
)
def test_reports_on_other_terms_are_refused(
    tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    """Figures of two data sets beside each other mean nothing."""
    reports = [publish(tmp_path, "one"), publish(tmp_path, "two", **other)]
    with pytest.raises(CrossRayError, match=words):
        compare_reports(reports)


def test_one_report_is_no_comparison(tmp_path: Path) -> None:
    """The sentence must say what is missing."""
    with pytest.raises(CrossRayError, match="two reports or more"):
        compare_reports([publish(tmp_path, "one")])


def test_names_with_brackets_are_shown_as_they_are() -> None:
    """`mAP@all[rare]` is no markup."""
    line = Line("image_to_text", "mAP@all[rare]", (0.25, 0.5), (Difference(0.25, 0.2, 0.3, 0.02),))
    console = Console(width=160, record=True)
    console.print(comparison_table([line], ["a", "b[c]"]))
    shown = console.export_text()
    assert "mAP@all[rare]" in shown
    assert "b[c]" in shown
    assert "0.500 (+0.250 [+0.200, +0.300])* " in shown
