"""Figures beside those of the model: a plain method's on the same data, and published ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossray.evaluation.evaluate import DirectionResult
from crossray.evaluation.metrics import show_value
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.published import PublishedRow
from crossray.evaluation.report.section import PageSection
from crossray.evaluation.significance.bootstrap import paired_bootstraps

PUBLISHED_COLUMNS = (
    "direction", "metric of ours", "ours", "published", "metric of the paper", "system", "bits",
    "source", "reproduced on this data", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """A method's name, what it was fitted on in words, and its results by direction."""

    name: str
    about: str
    results: Mapping[str, DirectionResult]

    def as_json(self, model: Mapping[str, DirectionResult], seed: int) -> dict[str, Any]:
        """For `report.json`: metrics and intervals by direction, as those of the model.

        `differences`: the model's values minus these, query by query, by direction and metric:
        mean, 95 % interval and p-value of a paired bootstrap in which all texts of an image go
        together; p-values are not corrected for their number.
        """
        return {
            "name": self.name,
            "about": self.about,
            "metrics": {name: result.metrics for name, result in self.results.items()},
            "intervals": {
                name: {metric: list(ends) for metric, ends in result.intervals.items()}
                for name, result in self.results.items()
            },
            "differences": {
                name: _differences(model[name], result, seed)
                for name, result in self.results.items()
            },
        }


def _differences(
    model: DirectionResult, reference: DirectionResult, seed: int
) -> dict[str, dict[str, float]]:
    # Only the model may predict labels; medians and queries of which none counts have no mean.
    names = [
        name
        for name, part in model.per_query.items()
        if name in reference.per_query and name != MEDIAN_RANK and not np.isnan(part).all()
    ]
    values, others = (
        {name: result.per_query[name] for name in names} for result in (model, reference)
    )
    found = paired_bootstraps(values, others, seed=seed, groups=model.query_ids)
    return {
        name: {
            "mean": result.mean_difference,
            "low": result.low,
            "high": result.high,
            "p_value": result.p_value,
        }
        for name, result in found.items()
    }


def reference_section(report: Mapping[str, Any]) -> PageSection:
    """The model and the reference side by side; `report` is the content of `report.json`."""
    reference = report["reference"]
    name = reference["name"]
    rows = [
        (
            direction.replace("_", " "),
            metric,
            show_value(report["metrics"][direction][metric], metric),
            show_value(reference["metrics"][direction][metric], metric),
            " to ".join(show_value(end, metric) for end in ends),
            _show(reference["differences"][direction].get(metric)),
        )
        for direction, intervals in reference["intervals"].items()
        for metric, ends in intervals.items()
    ]
    words = [
        f"{name} on {reference['about']}, under the same protocol. p: paired bootstrap over the "
        "queries, not corrected for the number of metrics."
    ]
    columns = ("direction", "metric", "model", name, "its 95 % interval", "difference, p")
    return PageSection(f"The model beside {name}", words, columns, rows)


def _show(difference: Mapping[str, float] | None) -> str:
    if difference is None:
        return ""
    return f"{difference['mean']:+.4f}, {difference['p_value']:.4f}"


def published_section(rows: Sequence[PublishedRow]) -> PageSection:
    """The section of what `published_rows` gives."""
    words = [
        "What papers print for this data set, copied from their tables, beside what was measured "
        "here. The two are comparable only where “reproduced on this data” says yes: data set, "
        "split sizes and metric agree. Else it says what differs.",
    ]
    return PageSection("Published figures", words, PUBLISHED_COLUMNS, [_cells(row) for row in rows])


def _cells(row: PublishedRow) -> list[str]:
    figure = row.published
    ends = [_digits(end) for end in (figure.value, figure.high) if end is not None]
    return [
        figure.direction.replace("_", " "),
        row.metric,
        show_value(row.value, row.metric),
        " to ".join(ends),
        figure.metric,
        figure.system,
        "" if figure.bits is None else str(figure.bits),
        figure.source,
        "yes" if figure.reproduced_here else f"no ({'; '.join(row.differs)})",
        figure.note,
    ]


def _digits(value: float) -> str:
    """With the digits of the paper: three, or four."""
    three = f"{value:.3f}"
    return three if float(three) == value else f"{value:.4f}"
