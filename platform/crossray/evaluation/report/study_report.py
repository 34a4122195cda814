"""The report of a study: points by metrics with intervals and differences, and one plot."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossray.evaluation.metrics import show_value
from crossray.evaluation.report.page import Plot, write_pages
from crossray.evaluation.report.plots import CHANCE, INK
from crossray.evaluation.report.section import PageSection
from crossray.evaluation.significance.corrections import significance_mark

_PANELS = 5  # of the plot in a line, at most
_COLOURS = (CHANCE, INK)

ByMetric = Mapping[str, Mapping[str, float]]  # by direction and metric


class StudyPoint(NamedTuple):
    """A row of the tables, and a mark of the plot.

    Attributes:
        labels: its first cells; the last of them names it in the plot.
        found: `metrics` by direction and metric; likewise `intervals` (low, high), `differences`
            (mean, low, high, p_value) and `ratios` (value, low, high), where it has them.
        x: its place on the plot's axis; None: the points stand one below the other.
        curve: points with an `x` are joined to those of the same curve.
    """

    labels: tuple[str, ...]
    found: Mapping[str, Any]
    x: float | None = None
    curve: str = ""


def write_study(
    directory: Path,
    title: str,
    explanation: str,
    report: Mapping[str, Any],
    sections: Sequence[PageSection],
    points: Sequence[StudyPoint],
    reference: ByMetric,
    plot: Plot,
    axis: str = "",
) -> None:
    """Write `report.json`, `report.md`, `report.html` and the plot into the directory.

    `report` is the content of the JSON. The plot marks the `reference` by dashed lines, and chance,
    which is the report's `baseline`, by dotted ones where points have an `x`, which `axis` names.
    """
    chance = None if points[0].x is None else report["baseline"]
    plot_points(points, reference, chance, axis).savefig(directory / plot.name)
    write_pages(directory, title, explanation, report, sections, [plot])


def explain(what: str, compared: str, seeds: int) -> str:
    """What the numbers are: `what` was run, and how rows are `compared`."""
    words = (
        f"{what} Intervals are 95 % of a bootstrap over the queries; a query is drawn with its "
        f"values of all seeds. {compared}: paired bootstrap over the same queries, p after Holm "
        "over all differences; * p < 0.05, ** p < 0.01."
    )
    return words if seeds > 1 else f"{words} One seed says nothing of the spread over seeds."


def tables(
    heads: Sequence[str], points: Sequence[StudyPoint], baseline: ByMetric | None = None
) -> list[PageSection]:
    """A table a direction: a row a point and, given `baseline`, one of chance."""
    sections = []
    for direction, metrics in points[0].found["metrics"].items():
        rows = [
            [*point.labels, *(_cell(point.found, direction, metric) for metric in metrics)]
            for point in points
        ]
        if baseline is not None:
            chance = [show_value(baseline[direction][metric], metric) for metric in metrics]
            rows.append([*[""] * (len(heads) - 1), "chance", *chance])
        heading = direction.replace("_", " ").capitalize()
        sections.append(PageSection(heading, [], [*heads, *metrics], rows))
    return sections


def _cell(found: Mapping[str, Any], direction: str, metric: str) -> str:
    """Value, interval and, where there are any, ratio and difference."""
    low, high = (show_value(end, metric) for end in found["intervals"][direction][metric])
    cell = f"{show_value(found['metrics'][direction][metric], metric)} [{low}, {high}]"
    if ratio := found.get("ratios", {}).get(direction, {}).get(metric):
        cell += f"; {ratio['value']:.0%}"
    if difference := found.get("differences", {}).get(direction, {}).get(metric):
        ends = f"[{difference['low']:+.3f}, {difference['high']:+.3f}]"
        mark = significance_mark(difference["p_value"])
        cell += f"; {difference['mean']:+.3f} {ends}{mark}"
    return cell


def plot_points(
    points: Sequence[StudyPoint], reference: ByMetric, chance: ByMetric | None, axis: str
) -> Figure:
    """Every point with its interval; a panel a metric, the directions one below the other.

    Ranks are left out, they have another scale.
    """
    lines = list(_lines(points[0].found["metrics"]))
    columns, curves = max(map(len, lines)), points[0].x is not None
    height = 2.8 if curves else 0.8 + 0.3 * len(points)
    figure = Figure(
        figsize=(2.2 + 2.6 * columns, height * len(lines)), dpi=120, layout="constrained"
    )
    panels = figure.subplots(len(lines), columns, squeeze=False, sharey=not curves)
    for row, line in zip(panels, lines, strict=True):
        for axes, place in zip_longest(row, line):
            if place is None:
                axes.set_axis_off()
                continue
            direction, metric = place
            (_curves if curves else _dots)(axes, points, direction, metric)
            dashed = axes.axhline if curves else axes.axvline
            dashed(reference[direction][metric], color=CHANCE, linestyle="--")
            if chance is not None:
                dashed(chance[direction][metric], color=CHANCE, linestyle=":")
            axes.set_title(f"{direction.replace('_', ' ')}: {metric}", fontsize="medium")
            axes.set_xlabel(axis)
            axes.grid(axis="both" if curves else "x", alpha=0.25)
    if not curves:
        panels[0][0].set_yticks(range(len(points)), [point.labels[-1] for point in points])
        panels[0][0].invert_yaxis()
    elif points[0].curve:
        panels[0][0].legend(fontsize="small")
    return figure


def _lines(metrics: ByMetric) -> Iterator[list[tuple[str, str]]]:
    """The panels of each line, a direction and a metric each: about as many in every line."""
    for direction, found in metrics.items():
        shown = [(direction, metric) for metric in found if "rank" not in metric]
        columns = ceil(len(shown) / ceil(len(shown) / _PANELS))
        for start in range(0, len(shown), columns):
            yield shown[start : start + columns]


def _dots(axes: Axes, points: Sequence[StudyPoint], direction: str, metric: str) -> None:
    for place, point in enumerate(points):
        value = point.found["metrics"][direction][metric]
        low, high = point.found.get("intervals", {}).get(direction, {}).get(metric, (value, value))
        ends = [[value - low], [high - value]]
        axes.errorbar([value], [place], xerr=ends, color=INK, fmt="o", capsize=3)


def _curves(axes: Axes, points: Sequence[StudyPoint], direction: str, metric: str) -> None:
    names = list(dict.fromkeys(point.curve for point in points))
    for name, colour in zip(names, _COLOURS[-len(names) :], strict=True):
        curve = [point for point in points if point.curve == name]
        x = [point.x or 0.0 for point in curve]
        value = [point.found["metrics"][direction][metric] for point in curve]
        low, high = zip(*(p.found["intervals"][direction][metric] for p in curve), strict=True)
        axes.plot(x, value, "o-", color=colour, label=name)
        axes.fill_between(x, low, high, color=colour, alpha=0.2)
    axes.set_ylim(bottom=0)
