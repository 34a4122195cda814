"""The report of an evaluation: `report.json` for programs, a page, a text and plots for readers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crossray.core.config import to_dict
from crossray.evaluation.evaluate import DirectionMean, DirectionResult, mean_of_directions
from crossray.evaluation.metrics import is_rank
from crossray.evaluation.protocols.protocol import CROSS_MODAL, Protocol
from crossray.evaluation.published import MeasuredOn, published_rows
from crossray.evaluation.report import plots
from crossray.evaluation.report.gallery import Gallery
from crossray.evaluation.report.label_section import labels_to_json, labels_to_markdown
from crossray.evaluation.report.leak_section import LeakFindings, leak_section
from crossray.evaluation.report.page import render_page
from crossray.evaluation.report.protocol_words import protocol_words
from crossray.evaluation.report.reference_section import (
    Reference,
    published_section,
    reference_section,
)
from crossray.evaluation.report.section import PageSection, markdown_cell, section_lines
from crossray.evaluation.report.selection_section import SelectionLineage, selection_section

DIRECTIONS = CROSS_MODAL
MEAN = "mean"
RECALL_PLOT = "recall_at_k.png"
PRECISION_RECALL_PLOT = "precision_recall.png"


def write_report(
    directory: Path,
    directions: Sequence[DirectionResult],
    protocol: Protocol,
    lineage: Mapping[str, Any],
    seed: int,
    counts: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    gallery: Gallery | None = None,
    label_names: Sequence[str] = (),
    measured: MeasuredOn | None = None,
    leaks: LeakFindings | None = None,
    selection: SelectionLineage | None = None,
    reference: Reference | None = None,
) -> dict[str, Any]:
    """Write `report.json`, `report.md`, `report.html` and the plots; return the JSON's content.

    `directions` are the results in the order of the protocol's directions. The top level of the
    JSON is a contract: `metrics`, `intervals` ([low, high], 95 %), `baseline` (chance) and `counts`
    by direction, `by_label` and `curves` likewise, `protocol`, `lineage`, `seed` and `notes`,
    `leaks`, `selection`, `published` and `reference` (a plain method's name, what it was fitted on,
    its metrics, intervals and the model's differences from it; null without one). Fractions are in
    [0, 1] and the median rank starts at 1. A protocol that averages its directions has `mean`
    beside them. `counts` adds further counts beside the directions'. `lineage` and `counts` must
    consist of JSON types. `gallery`: examples for the page. `label_names`: the vocabulary of the
    labels that were judged. `measured`: what finds the published figures of the same data. Raises
    CrossRayError when labels of another vocabulary were judged.
    """
    results: dict[str, DirectionResult] = dict(zip(protocol.directions, directions, strict=True))
    report: dict[str, Any] = {
        **_by_direction(results, protocol, label_names, seed),
        "protocol": json.loads(json.dumps(asdict(protocol))),
        "lineage": dict(lineage),
        "counts": {**{name: r.counts for name, r in results.items()}, **(counts or {})},
        "seed": seed,
        "notes": list(notes),
        "leaks": None if leaks is None else to_dict(leaks),
        "selection": None if selection is None else to_dict(selection),
        "reference": None if reference is None else reference.as_json(results, seed),
    }
    beside = [] if measured is None else published_rows(report, measured)
    report["published"] = [to_dict(row) for row in beside]
    sections = [
        *([reference_section(report)] if reference else []),
        *([published_section(beside)] if beside else []),
        *([leak_section(leaks)] if leaks else []),
        *([selection_section(selection)] if selection else []),
    ]
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    figures = _plot(results, directory)
    (directory / "report.md").write_text(
        _markdown(report, protocol, figures, sections), encoding="utf-8"
    )
    facts = {
        key: _text(v) for part in ("lineage", "counts") for key, v in _flat(report[part]).items()
    }
    words = protocol_words(protocol, report)
    page = render_page(report, figures, words, facts, gallery or {}, sections)
    (directory / "report.html").write_text(page, encoding="utf-8")
    return report


def _by_direction(
    results: Mapping[str, DirectionResult],
    protocol: Protocol,
    label_names: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The parts of the JSON that have an entry a direction."""
    tables: dict[str, DirectionResult | DirectionMean] = {**results}
    if protocol.mean_of_directions:
        tables[MEAN] = mean_of_directions(list(results.values()), seed)
    return {
        "metrics": {name: table.metrics for name, table in tables.items()},
        "intervals": {name: _lists(table.intervals) for name, table in tables.items()},
        "baseline": {name: table.baseline for name, table in tables.items()},
        "by_label": labels_to_json(results, label_names),
        "curves": {name: plots.curves_to_json(result) for name, result in results.items()},
    }


def _plot(results: Mapping[str, DirectionResult], directory: Path) -> dict[str, Path]:
    """Save the figures; returns the files by caption."""
    curves = {name: result.curves for name, result in results.items()}
    figures = {
        "Recall at K": directory / RECALL_PLOT,
        "Precision and recall": directory / PRECISION_RECALL_PLOT,
    }
    plots.plot_recall(curves, directory / RECALL_PLOT)
    plots.plot_precision_recall(curves, directory / PRECISION_RECALL_PLOT)
    lookups = {name: result.lookup for name, result in results.items() if result.lookup}
    if lookups:
        return figures | plots.plot_lookup(lookups, directory)
    first = {
        name: plots.FirstN(curve.k, curve.precision, float(curve.precision[-1]))
        for name, curve in curves.items()
    }
    plots.plot_top_n(first, directory / plots.TOP_N_PLOT, "model")
    return figures | {plots.TOP_N_CAPTION: directory / plots.TOP_N_PLOT}


def _lists(intervals: dict[str, tuple[float, float]]) -> dict[str, list[float]]:
    return {name: list(interval) for name, interval in intervals.items()}


def _markdown(
    report: dict[str, Any],
    protocol: Protocol,
    figures: Mapping[str, Path],
    sections: Sequence[PageSection],
) -> str:
    lines = [f"# Retrieval evaluation, protocol `{protocol.name}`", "", protocol.description]
    if report["notes"]:
        lines += ["", *(f"> - {note}" for note in report["notes"])]
    lines += ["", "## Results"]
    for direction in report["metrics"]:
        lines += ["", f"### {_title(direction)}", "", *_metrics_table(report, direction)]
    for section in sections:
        lines += ["", *section_lines(section)]
    for caption, path in figures.items():
        lines += ["", f"![{caption}]({path.name})"]
    lines += labels_to_markdown(report["by_label"])
    lines += ["", "## Protocol", "", *(f"- {word}" for word in protocol_words(protocol, report))]
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


def _shown(name: str, value: float) -> str:
    return f"{value:.1f}" if is_rank(name) else f"{100 * value:.2f} %"


def _table(values: Mapping[str, Any]) -> list[str]:
    """Return a two-column table; nested mappings become dotted keys."""
    rows = [f"| {key} | {markdown_cell(_text(value))} |" for key, value in _flat(values).items()]
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


def _title(direction: str) -> str:
    return direction.replace("_", " ").capitalize()
