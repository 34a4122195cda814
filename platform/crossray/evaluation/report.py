"""The report of an evaluation: `report.json` for programs, a page, a text and plots for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crossray.evaluation.evaluate import MAP_BY_LABEL, MAP_RARE, MEDIAN_RANK, DirectionResult
from crossray.evaluation.gallery import Gallery
from crossray.evaluation.page import render_page
from crossray.evaluation.plots import plot_precision_recall, plot_recall
from crossray.evaluation.protocol import Protocol
from crossray.evaluation.reference import Reference

DIRECTIONS = ("image_to_text", "text_to_image")
PER_QUERY = "per_query"  # with a direction, the name of a Parquet file beside the report
RECALL_PLOT = "recall_at_k.png"
PRECISION_RECALL_PLOT = "precision_recall.png"

RELEVANCE_WORDS = {
    "pair": "relevant is the item paired with the query; with several captions an image, any",
    "share_label": "relevant is every item with at least one label in common; queries without "
    "labels are excluded",
}
TIES_WORDS = {
    "stable": "equal scores keep the order of the database",
    "expected": "expectation over the random order of equal scores",
}
EMPTY_WORDS = {
    "skip": "queries without a relevant item are left out",
    "zero": "queries without a relevant item count as 0",
}
DENOMINATOR_WORDS = {
    "found": "the relevant items found above the cut-off",
    "total": "all relevant items of the database",
    "min": "the relevant items of the database, at most the cut-off",
}


def write_report(
    directory: Path,
    image_to_text: DirectionResult,
    text_to_image: DirectionResult,
    protocol: Protocol,
    lineage: Mapping[str, Any],
    seed: int,
    counts: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    gallery: Gallery | None = None,
    reference: Reference | None = None,
) -> dict[str, Any]:
    """Write `report.json`, `report.md`, `report.html` and two plots; return the JSON's content.

    The top level of the JSON is a contract: `metrics`, `intervals` ([low, high], 95 %), `baseline`
    (chance) and `counts` by direction, `protocol`, `lineage`, `seed`, `notes` and `reference` (a
    plain method's name, what it was fitted on, its metrics and intervals; null without one).
    Fractions are in [0, 1] and the median rank starts at 1. `counts` adds further counts beside the
    directions'. `lineage` and `counts` must consist of JSON types. `gallery`: examples for the
    page.
    """
    results = {"image_to_text": image_to_text, "text_to_image": text_to_image}
    report: dict[str, Any] = {
        "metrics": {name: result.metrics for name, result in results.items()},
        "intervals": {name: _lists(result.intervals) for name, result in results.items()},
        "baseline": {name: result.baseline for name, result in results.items()},
        "protocol": {**asdict(protocol), "ks": list(protocol.ks)},
        "lineage": dict(lineage),
        "counts": {**{name: r.counts for name, r in results.items()}, **(counts or {})},
        "seed": seed,
        "notes": list(notes),
        "reference": None if reference is None else reference.as_json(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    curves = {name: result.curves for name, result in results.items()}
    plot_recall(curves, directory / RECALL_PLOT)
    plot_precision_recall(curves, directory / PRECISION_RECALL_PLOT)
    (directory / "report.md").write_text(_markdown(report, protocol), encoding="utf-8")
    figures = {
        "Recall at K": directory / RECALL_PLOT,
        "Precision and recall": directory / PRECISION_RECALL_PLOT,
    }
    facts = {
        key: _text(v) for part in ("lineage", "counts") for key, v in _flat(report[part]).items()
    }
    page = render_page(report, figures, _protocol_words(protocol, report), facts, gallery or {})
    (directory / "report.html").write_text(page, encoding="utf-8")
    return report


def _lists(intervals: dict[str, tuple[float, float]]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in intervals.items()}


def _markdown(report: dict[str, Any], protocol: Protocol) -> str:
    lines = [f"# Retrieval evaluation, protocol `{protocol.name}`", "", protocol.description]
    if report["notes"]:
        lines += ["", *(f"> - {note}" for note in report["notes"])]
    lines += ["", "## Results"]
    for direction in report["metrics"]:
        lines += ["", f"### {_title(direction)}", "", *_metrics_table(report, direction)]
    if report["reference"]:
        lines += ["", *_reference_lines(report)]
    lines += [
        "",
        f"![Recall at K]({RECALL_PLOT})",
        "",
        f"![Precision and recall]({PRECISION_RECALL_PLOT})",
    ]
    lines += ["", "## Protocol", "", *(f"- {word}" for word in _protocol_words(protocol, report))]
    lines += ["", "## Counts", "", *_table(report["counts"]), "", "## Lineage", ""]
    return "\n".join([*lines, *_table(report["lineage"]), ""])


def _metrics_table(report: dict[str, Any], direction: str) -> list[str]:
    intervals, baseline = report["intervals"][direction], report["baseline"][direction]
    rows = ["| metric | value | 95 % interval | chance |", "|---|---:|---:|---:|"]
    for name, (low, high) in intervals.items():
        value = report["metrics"][direction][name]
        rows.append(
            f"| {name} | **{_shown(name, value)}** | {_shown(name, low)} to {_shown(name, high)} | "
            f"{_shown(name, baseline[name])} |"
        )
    return rows


def _reference_lines(report: dict[str, Any]) -> list[str]:
    reference = report["reference"]
    name = reference["name"]
    lines = [
        f"## The model beside {name}", "",
        f"{name} on {reference['about']}, under the same protocol.", "",
        f"| direction | metric | model | {name} | 95 % interval of {name} |",
        "|---|---|---:|---:|---:|",
    ]  # fmt: skip
    for direction, intervals in reference["intervals"].items():
        for metric, (low, high) in intervals.items():
            own, other = (part["metrics"][direction][metric] for part in (report, reference))
            lines.append(
                f"| {direction.replace('_', ' ')} | {metric} | **{_shown(metric, own)}** | "
                f"{_shown(metric, other)} | {_shown(metric, low)} to {_shown(metric, high)} |"
            )
    return lines


def _shown(name: str, value: float) -> str:
    return f"{value:.1f}" if name == MEDIAN_RANK else f"{100 * value:.2f} %"


def _protocol_words(protocol: Protocol, report: dict[str, Any]) -> list[str]:
    words = [
        f"R@K and median rank: {RELEVANCE_WORDS[protocol.relevance]}. R@K is the share of "
        f"queries with a relevant item in the top K, the median rank that of the best one.",
        f"mAP@all: {RELEVANCE_WORDS[protocol.ap_relevance]}; over the whole database, divided by "
        f"{DENOMINATOR_WORDS['total']}.",
        f"Ties: {TIES_WORDS[protocol.ties]}. Empty queries: {EMPTY_WORDS[protocol.empty]}.",
        f"Intervals: 95 % percentile bootstrap over query ids, seed {report['seed']}. "
        f"Chance: the expected value under a random ranking.",
    ]
    if protocol.ap_cutoff is not None:
        name = f"mAP@{protocol.ap_cutoff}[{protocol.ap_denominator}]"
        words.append(f"{name}: divided by {DENOMINATOR_WORDS[protocol.ap_denominator]}.")
    if any(MAP_RARE in metrics for metrics in report["metrics"].values()):
        words.append(
            f"{MAP_RARE}: relevant is every item with at least one of the rare labels in common; "
            f"queries without a rare label are excluded."
        )
        words.append(
            f"{MAP_BY_LABEL}: each rare label alone, relevant is every item that carries it; the "
            f"mean over labels of the mean over the queries that carry the label."
        )
    return words


def _table(values: Mapping[str, Any]) -> list[str]:
    """Return a two-column table; nested mappings become dotted keys."""
    rows = [f"| {key} | {_cell(value)} |" for key, value in _flat(values).items()]
    return ["| what | value |", "|---|---|", *rows]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> str:
    return _text(value).replace("|", "\\|").replace("\n", " ")


def _title(direction: str) -> str:
    return direction.replace("_", " ").capitalize()
