"""The report of variants beside a full system: `report.json`, a page, a text and a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossray.evaluation.metrics import show_value
from crossray.evaluation.report.ablation_plot import plot_variants
from crossray.evaluation.report.section import Section
from crossray.evaluation.report.sections_page import Figure, write_sections
from crossray.evaluation.significance.claims import Claim, Values, judge_claims
from crossray.evaluation.significance.corrections import significance_mark
from crossray.evaluation.significance.variants import check_queries, measured, paired_differences

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
        facts: what goes into the JSON as it is: `title`, `protocol`, `seeds`, `baseline` (chance
            levels by direction), `lineage` and `notes`.
        seed: of the bootstrap.

    The JSON has under `variants`, by name, `metrics`, `intervals` (bootstrap over queries, 95 %)
    and `differences` to the full system, each by direction and metric, and `claims` as
    `judge_claims` gives them. Raises CrossRayError for variants that answered other queries.
    """
    check_queries(values, full)
    differences = paired_differences(values, full, metrics, seed)
    report: dict[str, Any] = {
        "full": full,
        "variants": {
            name: {
                "changes": list(changes[name]),
                "parameters": parameters[name],
                **measured(tables, metrics, seed),
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
        directory, title(report), explanation(report), report, _sections(report), [VARIANTS]
    )
    return report


def title(report: Mapping[str, Any]) -> str:
    """The heading of page and text."""
    return f"{report['title']}, protocol {report['protocol']['name']}"


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
