"""The report of an ablation: `report.json`, and a page, a text and a plot for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.evaluation.ablation_plot import plot_variants
from crossray.evaluation.bootstrap import BootstrapResult, confidence_intervals, paired_bootstraps
from crossray.evaluation.claims import Claim, Values, judge_claims
from crossray.evaluation.compare import QUERY_ID
from crossray.evaluation.corrections import holm, significance_mark
from crossray.evaluation.measures import MEDIAN_RANK
from crossray.evaluation.page import show_value
from crossray.evaluation.section import Section
from crossray.evaluation.sections_page import Figure, write_sections

VARIANTS = Figure(
    "variants.png",
    "Every variant",
    "Dots: the variants; bars: 95 % intervals; dashed: the full system",
)


def write_ablation_report(
    directory: Path,
    values: Values,
    full: str,
    metrics: Sequence[str],
    claims: Sequence[Claim],
    changes: Mapping[str, Sequence[str]],
    parameters: Mapping[str, int],
    facts: Mapping[str, Any],
    seed: int = 0,
) -> dict[str, Any]:
    """Write `report.json`, `report.md`, `report.html` and a plot; return the JSON's content.

    Args:
        directory: where the files go.
        values: by variant and direction a table with one row a query: its id, and a column a
            metric. The rows of several seeds follow each other; the bootstrap then draws a query
            with its values of all seeds.
        full: the variant that the others are compared with.
        metrics: the columns that are shown; those that a direction lacks are left out.
        claims: orderings of the paper.
        changes: by variant, what its configuration has other than that of the full system.
        parameters: how many each variant's model has.
        facts: what goes into the JSON as it is: `ablation` (the method), `protocol`, `seeds`,
            `baseline` (chance levels by direction), `lineage` and `notes`.
        seed: of the bootstrap.

    The JSON has under `variants`, by name, `metrics`, `intervals` (bootstrap over queries, 95 %)
    and `differences` to the full system, each by direction and metric, and `claims` as
    `judge_claims` gives them. Raises CrossRayError for variants that answered other queries.
    """
    _check_queries(values, full)
    differences = _differences(values, full, metrics, seed)
    report: dict[str, Any] = {
        "full": full,
        "variants": {
            name: {
                "changes": list(changes[name]),
                "parameters": parameters[name],
                **_measured(tables, metrics, seed),
                "differences": differences.get(name, {}),
            }
            for name, tables in values.items()
        },
        "claims": judge_claims(claims, values, seed),
        **facts,
    }
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    plot_variants(report["variants"], full, directory / VARIANTS.name)
    write_sections(
        directory, title(report), explanation(report), report, _sections(report), VARIANTS
    )
    return report


def _check_queries(values: Values, full: str) -> None:
    for name, tables in values.items():
        for direction, table in values[full].items():
            if tables[direction][QUERY_ID] != table[QUERY_ID]:
                raise CrossRayError(
                    f"the variant {name} was asked other {direction} queries than {full}; evaluate "
                    "both anew on the same data."
                )


def _columns(table: pa.Table, metrics: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in metrics if name in table.column_names}


def _measured(
    tables: Mapping[str, pa.Table], metrics: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Metrics and intervals of one variant, by direction."""
    found: dict[str, dict[str, Any]] = {"metrics": {}, "intervals": {}}
    for direction, table in tables.items():
        columns = _columns(table, metrics)
        found["metrics"][direction] = {
            name: float((np.nanmedian if name == MEDIAN_RANK else np.nanmean)(column))
            for name, column in columns.items()
        }
        intervals = confidence_intervals(
            columns, {MEDIAN_RANK: "median"}, seed=seed, groups=table[QUERY_ID].to_numpy()
        )
        found["intervals"][direction] = {name: list(ends) for name, ends in intervals.items()}
    return found


def _differences(
    values: Values, full: str, metrics: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """By variant, direction and metric; the p-values of all are one family for Holm."""
    tested = [name for name in metrics if name != MEDIAN_RANK]
    results: dict[tuple[str, str, str], BootstrapResult] = {}
    for variant, tables in values.items():
        for direction, table in tables.items():
            if variant == full:
                continue
            base = values[full][direction]
            found = paired_bootstraps(
                _columns(table, tested), _columns(base, tested),
                seed=seed, groups=table[QUERY_ID].to_numpy(),
            )  # fmt: skip
            results |= {(variant, direction, name): result for name, result in found.items()}
    corrected = holm([result.p_value for result in results.values()])
    differences: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (variant, direction, name), result, p_value in zip(
        results, results.values(), corrected.tolist(), strict=True
    ):
        differences.setdefault(variant, {}).setdefault(direction, {})[name] = {
            "mean": result.mean_difference,
            "low": result.low,
            "high": result.high,
            "p_value": p_value,
        }
    return differences


def title(report: Mapping[str, Any]) -> str:
    """The heading of page and text."""
    return f"Ablation of {report['ablation']}, protocol {report['protocol']['name']}"


def explanation(report: Mapping[str, Any]) -> str:
    """What the numbers are."""
    seeds = report["seeds"]
    often = "once" if seeds == 1 else f"with {seeds} seeds"
    words = (
        f"{len(report['variants'])} variants, each trained and evaluated {often}. Intervals are "
        "95 % of a bootstrap over the queries; a query is drawn with its values of all seeds. "
        f"Differences are to {report['full']}: paired bootstrap over the same queries, p after "
        "Holm over all differences; * p < 0.05, ** p < 0.01."
    )
    return words if seeds > 1 else f"{words} One seed says nothing of the spread over seeds."


def _sections(report: Mapping[str, Any]) -> list[Section]:
    variants = report["variants"]
    sections = []
    if report["claims"]:
        sections.append(Section("What the paper claims", [c["words"] for c in report["claims"]]))
    for direction, metrics in variants[report["full"]]["metrics"].items():
        rows = [[name, *_cells(found, direction)] for name, found in variants.items()]
        chance = report["baseline"][direction]
        rows.append(["chance", *(show_value(chance[metric], metric) for metric in metrics)])
        heading = direction.replace("_", " ").capitalize()
        sections.append(Section(heading, [], ["variant", *metrics], rows))
    rows = [
        [name, f"{found['parameters']:,}", "; ".join(found["changes"])]
        for name, found in variants.items()
    ]
    columns = ["variant", "parameters", "other than the full"]
    sections.append(Section("What was changed", [], columns, rows))
    return sections


def _cells(found: Mapping[str, Any], direction: str) -> list[str]:
    """A variant's line: value, interval and difference of every metric."""
    cells = []
    for metric, value in found["metrics"][direction].items():
        low, high = (show_value(end, metric) for end in found["intervals"][direction][metric])
        cell = f"{show_value(value, metric)} [{low}, {high}]"
        difference = found["differences"].get(direction, {}).get(metric)
        if difference is not None:
            mark = significance_mark(difference["p_value"])
            ends = f"[{difference['low']:+.3f}, {difference['high']:+.3f}]"
            cell += f"; {difference['mean']:+.3f} {ends}{mark}"
        cells.append(cell)
    return cells
