"""Reports of repeated runs side by side, and which differences are more than chance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.significance.compare import Line, corrected_lines, require_same_terms
from crossray.evaluation.significance.corrections import Correction
from crossray.evaluation.significance.paired_t_test import TTestResult, paired_t_test


def is_repeat(report: Artifact) -> bool:
    """Whether a report is of repeated runs."""
    return "repeat" in report.manifest.config


def compare_repeats(reports: Sequence[Artifact], correction: Correction = "holm") -> list[Line]:
    """Every metric that the reports share; differences to the first report, tested by run.

    The paired t-test takes the same seed or fold of both; it calls too many differences of folds
    more than chance, because folds share training items. `correction` is for the family of all
    differences. Raises CrossRayError for fewer than two reports, and for reports of single runs, of
    other data, another split, protocol or other runs than the first.
    """
    if len(reports) < 2:
        raise CrossRayError("a comparison needs two reports or more; name another.")
    for report in reports:
        if not is_repeat(report):
            raise CrossRayError(
                f"{report.uri} is of a single run and others are of several: compare reports of "
                "one sort."
            )
    for other in reports[1:]:
        require_same_terms(reports[0], other, ("split", "protocol", "repeat", "runs"))
    first, *others = (_content(report) for report in reports)
    lines: list[tuple[str, str, list[TTestResult]]] = [
        (
            direction,
            metric,
            [
                paired_t_test(_values(other, direction, metric), _values(first, direction, metric))
                for other in others
            ],
        )
        for direction, metrics in first["metrics"].items()
        for metric in metrics
        if all(metric in other["metrics"].get(direction, {}) for other in others)
    ]
    return corrected_lines(lines, [content["metrics"] for content in (first, *others)], correction)


def _content(report: Artifact) -> dict[str, Any]:
    text = (report.local() / "report.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _values(content: dict[str, Any], direction: str, metric: str) -> list[float]:
    return [run[direction][metric] for run in content["runs"].values()]
