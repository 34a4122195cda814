"""The report of annotation efficiency: what is reached with fewer pairs, and what stage 1 adds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import show_value
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.report.annotation_plot import plot_curves
from crossray.evaluation.report.section import Section
from crossray.evaluation.report.sections_page import Figure, write_sections
from crossray.evaluation.significance.bootstrap import (
    BootstrapResult,
    confidence_intervals,
    paired_bootstraps,
    ratio_of_means,
)
from crossray.evaluation.significance.compare import QUERY_ID
from crossray.evaluation.significance.corrections import holm, significance_mark

PLAIN, STAGED = "pairs alone", "with stage 1"
CURVES = Figure(
    "curves.png",
    "Curves",
    "Scores against the share of pairs, with 95 % intervals; dotted: chance",
)
SHARE_OF_PAIRS, SHARE_OF_SCORE = 0.3, 0.9  # HIER's hypothesis H1 (docs/methods/hier.md)

Tables = Mapping[str, pa.Table]  # by direction, one row a query
Points = Mapping[float, Tables]  # by fraction of the pairs


def write_annotation_report(
    directory: Path,
    curves: Mapping[str, Points],
    metrics: Sequence[str],
    facts: Mapping[str, Any],
    seed: int = 0,
) -> dict[str, Any]:
    """Write `report.json`, `report.md`, `report.html` and a plot; return the JSON's content.

    Args:
        directory: where the files go.
        curves: by `PLAIN` and, where there is one, `STAGED`, and by fraction of the pairs, the
            values of every query by direction: a column of ids and one a metric. The rows of
            several seeds follow each other. `PLAIN` has the fraction 1.
        metrics: the columns that are shown.
        facts: what goes into the JSON as it is: `pairs` (training pairs by fraction), `protocol`,
            `seeds`, `baseline` (chance by direction), `lineage` and `notes`.
        seed: of the bootstrap.

    The JSON has under `curves`, by curve and fraction, `metrics`, `intervals` and `ratios` to all
    pairs alone (value, low, high), each by direction and metric; `differences` that stage 1 makes
    at each fraction, tested in pairs, p-values after Holm; and `hypothesis`: whether 30 % of the
    pairs reach 90 % of the score. Raises CrossRayError for systems that answered other queries.
    """
    whole = curves[PLAIN][1.0]
    for points in curves.values():
        for tables in points.values():
            _check_queries(tables, whole)
    report: dict[str, Any] = {
        "curves": {
            name: {
                f"{fraction:g}": _point(tables, whole, metrics, seed)
                for fraction, tables in points.items()
            }
            for name, points in curves.items()
        },
        "differences": _differences(curves, metrics, seed),
        **facts,
    }
    report["hypothesis"] = _hypothesis(report["curves"])
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    plot_curves(report["curves"], report["baseline"], directory / CURVES.name)
    write_sections(
        directory, title(report), explanation(report), report, _sections(report), [CURVES]
    )
    return report


def _check_queries(tables: Tables, whole: Tables) -> None:
    for direction, table in whole.items():
        if tables[direction][QUERY_ID] != table[QUERY_ID]:
            raise CrossRayError(
                f"the fractions were asked different {direction} queries; evaluate all of them on "
                "the same split with as many seeds."
            )


def _columns(table: pa.Table, metrics: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in metrics if name in table.column_names}


def _point(
    tables: Tables, whole: Tables, metrics: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Metrics, intervals and ratios of one fraction, by direction."""
    found: dict[str, dict[str, Any]] = {"metrics": {}, "intervals": {}, "ratios": {}}
    for direction, table in tables.items():
        columns, groups = _columns(table, metrics), table[QUERY_ID].to_numpy()
        found["metrics"][direction] = {
            name: float((np.nanmedian if name == MEDIAN_RANK else np.nanmean)(column))
            for name, column in columns.items()
        }
        intervals = confidence_intervals(columns, {MEDIAN_RANK: "median"}, seed=seed, groups=groups)
        found["intervals"][direction] = {name: list(ends) for name, ends in intervals.items()}
        found["ratios"][direction] = {
            name: _ratio(column, whole[direction][name].to_numpy(), seed, groups)
            for name, column in columns.items()
            if name != MEDIAN_RANK
        }
    return found


def _ratio(
    a_Q: np.ndarray, b_Q: np.ndarray, seed: int, groups: np.ndarray
) -> dict[str, float] | None:
    """The ratio with its ends; None to a score of nothing."""
    try:
        ratio = ratio_of_means(a_Q, b_Q, seed=seed, groups=groups)
    except CrossRayError:
        return None
    return {"value": ratio.value, "low": ratio.low, "high": ratio.high}


def _differences(
    curves: Mapping[str, Points], metrics: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """By fraction, direction and metric what stage 1 adds; all p-values are one family for Holm."""
    tested = [name for name in metrics if name != MEDIAN_RANK]
    results: dict[tuple[str, str, str], BootstrapResult] = {}
    for fraction, tables in curves.get(STAGED, {}).items():
        for direction, table in tables.items():
            plain = curves[PLAIN][fraction][direction]
            found = paired_bootstraps(
                _columns(table, tested), _columns(plain, tested),
                seed=seed, groups=table[QUERY_ID].to_numpy(),
            )  # fmt: skip
            results |= {(f"{fraction:g}", direction, name): r for name, r in found.items()}
    corrected = holm([result.p_value for result in results.values()])
    differences: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (share, direction, name), result, p_value in zip(
        results, results.values(), corrected.tolist(), strict=True
    ):
        differences.setdefault(share, {}).setdefault(direction, {})[name] = {
            "mean": result.mean_difference,
            "low": result.low,
            "high": result.high,
            "p_value": p_value,
        }
    return differences


def _hypothesis(curves: Mapping[str, Any]) -> dict[str, Any]:
    """Whether `SHARE_OF_PAIRS` reach `SHARE_OF_SCORE` of all pairs alone, by curve."""
    reached: dict[str, Any] = {}
    for name, points in curves.items():
        point = points.get(f"{SHARE_OF_PAIRS:g}")
        if point is not None:
            reached[name] = {
                direction: {
                    metric: None if ratio is None else ratio["value"] >= SHARE_OF_SCORE
                    for metric, ratio in ratios.items()
                }
                for direction, ratios in point["ratios"].items()
            }
    return {"pairs": SHARE_OF_PAIRS, "score": SHARE_OF_SCORE, "reached": reached}


def title(report: Mapping[str, Any]) -> str:
    """The heading of page and text."""
    return f"Annotation efficiency, protocol {report['protocol']['name']}"


def explanation(report: Mapping[str, Any]) -> str:
    """What the numbers are."""
    seeds = report["seeds"]
    words = (
        "Training pairs are taken apart, nested and balanced by label, until a fraction is left; "
        f"{STAGED}, the towers start from pretext tasks that saw all images and texts, unpaired. "
        "Intervals are 95 % of a bootstrap over the queries, a query drawn with its values of all "
        f"{seeds} seeds; ratios are to all {PLAIN}. p after Holm; * p < 0.05, ** p < 0.01."
    )
    return words if seeds > 1 else f"{words} One seed says nothing of the spread over seeds."


def _sections(report: Mapping[str, Any]) -> list[Section]:
    claims = [
        _claim(name, direction, metric, report)
        for name, directions in report["hypothesis"]["reached"].items()
        for direction, metrics in directions.items()
        for metric in metrics
    ]
    told = [Section(f"{SHARE_OF_PAIRS:.0%} of the pairs", claims)] if claims else []
    for direction, metrics in report["curves"][PLAIN]["1"]["metrics"].items():
        rows = [
            [
                fraction,
                f"{report['pairs'][fraction]:,}",
                name,
                *_cells(report, name, fraction, direction),
            ]
            for fraction in report["curves"][PLAIN]
            for name in report["curves"]
        ]
        chance = report["baseline"][direction]
        rows.append(["", "", "chance", *(show_value(chance[m], m) for m in metrics)])
        heading = direction.replace("_", " ").capitalize()
        told.append(Section(heading, [], ["fraction", "pairs", "trained", *metrics], rows))
    return told


def _claim(name: str, direction: str, metric: str, report: Mapping[str, Any]) -> str:
    point = report["curves"][name][f"{SHARE_OF_PAIRS:g}"]
    ratio, where = point["ratios"][direction][metric], direction.replace("_", " ")
    if ratio is None:
        return f"{name}, {where}, {metric}: all pairs alone find nothing, so there is no ratio."
    verdict = "reached" if ratio["value"] >= SHARE_OF_SCORE else "not reached"
    ends = f"[{ratio['low']:.1%}, {ratio['high']:.1%}]"
    return (
        f"{name}, {where}, {metric}: {ratio['value']:.1%} {ends} of the score of all {PLAIN}; "
        f"{SHARE_OF_SCORE:.0%} is {verdict}."
    )


def _cells(report: Mapping[str, Any], name: str, fraction: str, direction: str) -> list[str]:
    """Value, interval, ratio and what stage 1 adds, of every metric."""
    point, cells = report["curves"][name][fraction], []
    for metric, value in point["metrics"][direction].items():
        low, high = (show_value(end, metric) for end in point["intervals"][direction][metric])
        cell = f"{show_value(value, metric)} [{low}, {high}]"
        if (ratio := point["ratios"][direction].get(metric)) is not None:
            cell += f"; {ratio['value']:.0%}"
        added = report["differences"].get(fraction, {}).get(direction, {}).get(metric)
        if name == STAGED and added is not None:
            cell += f"; {added['mean']:+.3f}{significance_mark(added['p_value'])}"
        cells.append(cell)
    return cells
