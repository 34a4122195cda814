"""The plot of a study's report: what it shows and where."""

from __future__ import annotations

import numpy as np
import pytest

from crossray.evaluation.report.study_report import StudyPoint, plot_points

METRICS = ("R@1", "R@5", "R@10", "median_rank", "mAP@all", "mAP@50[found]", "NDCG@10[graded]")
SHOWN = [metric for metric in METRICS if metric != "median_rank"]


def points(places: list[float] | list[None]) -> list[StudyPoint]:
    """Points of two directions whose value grows from point to point."""
    made = []
    for number, x in enumerate(places):
        values = {d: dict.fromkeys(METRICS, 0.1 * (number + 1)) for d in ("there", "back")}
        ends = {d: dict.fromkeys(METRICS, (0.0, 0.5)) for d in values}
        made.append(StudyPoint((f"p{number}",), {"metrics": values, "intervals": ends}, x))
    return made


@pytest.mark.parametrize("places", [[None, None], [0.0, 5.0]])
def test_every_metric_has_a_panel_with_every_point(places: list[float] | list[None]) -> None:
    """A metric or a variant would be missing from the plot, or stand at another one's value."""
    given = points(places)
    metrics = given[0].found["metrics"]
    figure = plot_points(given, metrics, None if places[0] is None else metrics, "examples")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [
        f"{direction}: {metric}" for direction in ("there", "back") for metric in SHOWN
    ]
    for axes in panels:
        marks = np.concatenate([line.get_xydata() for line in axes.lines if len(line.get_xydata())])
        for number, x in enumerate(places):
            wanted = (0.1 * (number + 1), number) if x is None else (x, 0.1 * (number + 1))
            assert np.isclose(marks, wanted).all(axis=1).any()
