"""The part of a report that judges each label alone; `labels.html` is its form on the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from crossray.core.errors import CrossRayError
from crossray.evaluation.evaluate import DirectionResult
from crossray.evaluation.report.section import markdown_cell

LabelRows = dict[str, dict[str, float | int | None]]


def labels_to_json(
    results: Mapping[str, DirectionResult], names: Sequence[str]
) -> dict[str, LabelRows]:
    """The rows by direction and label, the most frequent first; empty where no label has a name.

    Raises CrossRayError when the names are not those of the labels that were judged.
    """
    if not names:
        return {}
    tables = {name: result.by_label for name, result in results.items() if result.by_label}
    for table in tables.values():
        if len(names) != len(table.ap_C):
            raise CrossRayError(
                f"there are {len(names)} label names for {len(table.ap_C)} labels that were "
                f"judged: pass the vocabulary of the label matrices."
            )
    return {name: table.rows(list(names)) for name, table in tables.items()}


def labels_to_markdown(by_label: Mapping[str, LabelRows]) -> list[str]:
    """A table a direction."""
    if not by_label:
        return []
    lines = ["", "## Label by label"]
    for direction, rows in by_label.items():
        lines += [
            "",
            f"### {direction.replace('_', ' ').capitalize()}, label by label",
            "",
            "| label | queries | items | AP | chance | AP, protocol's relevance |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        lines += [
            f"| {markdown_cell(label)} | {row['queries']} | {row['items']} | "
            f"**{_percent(row['ap'])}** | {_percent(row['chance'])} | "
            f"{_percent(row['protocol_ap'])} |"
            for label, row in rows.items()
        ]
    return lines


def label_words(metric: str) -> str:
    """What the table says, for the list of the protocol's rules."""
    return (
        f"Label by label: {metric} of the queries that carry the label, relevant is every item "
        f"that carries it; beside it the same queries under the protocol's relevance. Labels "
        f"overlap, so the rows are no partition."
    )


def _percent(value: Any) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
