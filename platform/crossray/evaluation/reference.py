"""A plain method beside the model: what the same data gives under the same protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossray.evaluation.evaluate import DirectionResult
from crossray.evaluation.page import show_value
from crossray.evaluation.section import Section


@dataclass(frozen=True)
class Reference:
    """A method's name, what it was fitted on in words, and its results by direction."""

    name: str
    about: str
    results: Mapping[str, DirectionResult]

    def as_json(self) -> dict[str, Any]:
        """For `report.json`: metrics and intervals by direction, as those of the model."""
        return {
            "name": self.name,
            "about": self.about,
            "metrics": {name: result.metrics for name, result in self.results.items()},
            "intervals": {
                name: {metric: list(ends) for metric, ends in result.intervals.items()}
                for name, result in self.results.items()
            },
        }


def reference_section(report: Mapping[str, Any]) -> Section:
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
        )
        for direction, intervals in reference["intervals"].items()
        for metric, ends in intervals.items()
    ]
    words = [f"{name} on {reference['about']}, under the same protocol."]
    columns = ("direction", "metric", "model", name, "its 95 % interval")
    return Section(f"The model beside {name}", words, columns, rows)
