"""The report of repeated runs: `report.json`, and a page, a text and a plot for readers."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined

from crossray.evaluation.metrics import show_value
from crossray.evaluation.report.repeat_plot import plot_runs
from crossray.evaluation.significance.spread import Spread, spread_of

Over = Literal["seeds", "folds"]
RUNS_PLOT = "runs.png"


def write_repeat_report(
    directory: Path,
    runs: Mapping[str, Mapping[str, Any]],
    over: Over,
    lineage: Mapping[str, Mapping[str, str]],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Write `report.json`, `report.md`, `report.html` and a plot; return the JSON's content.

    Args:
        directory: where the files go.
        runs: the content of every run's own `report.json` by the run's name, two or more.
        over: what differs between the runs.
        lineage: uri and id of the artifacts behind the report, by name.
        notes: sentences for the reader.

    The JSON has, by direction and metric, the means over the runs (`metrics`), their 95 %
    t-intervals, `standard_deviations` over R - 1 and the mean chance level (`baseline`), and under
    `runs` the values of each. Metrics that not every run has are left out. Raises CrossRayError for
    fewer than two runs.
    """
    first = next(iter(runs.values()))
    values = {
        direction: {
            metric: [run["metrics"][direction][metric] for run in runs.values()]
            for metric in first["intervals"][direction]
            if all(metric in run["intervals"][direction] for run in runs.values())
        }
        for direction in first["intervals"]
    }
    spreads = {
        direction: {metric: spread_of(found) for metric, found in metrics.items()}
        for direction, metrics in values.items()
    }
    report: dict[str, Any] = {
        "metrics": _by_metric(spreads, lambda spread: spread.mean),
        "intervals": _by_metric(spreads, lambda spread: [spread.low, spread.high]),
        "standard_deviations": _by_metric(spreads, lambda spread: spread.deviation),
        "baseline": {
            direction: {
                metric: fmean(run["baseline"][direction][metric] for run in runs.values())
                for metric in metrics
            }
            for direction, metrics in values.items()
        },
        "runs": {
            name: {
                direction: {metric: found[number] for metric, found in metrics.items()}
                for direction, metrics in values.items()
            }
            for number, name in enumerate(runs)
        },
        "over": over,
        "protocol": first["protocol"],
        "lineage": dict(lineage),
        "notes": list(notes),
    }
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    plot_runs(values, spreads, directory / RUNS_PLOT)
    (directory / "report.md").write_text(_markdown(report), encoding="utf-8")
    (directory / "report.html").write_text(_page(report, directory / RUNS_PLOT), encoding="utf-8")
    return report


def _by_metric(spreads: Mapping[str, Mapping[str, Spread]], pick: Any) -> dict[str, dict[str, Any]]:
    return {
        direction: {metric: pick(spread) for metric, spread in metrics.items()}
        for direction, metrics in spreads.items()
    }


def title(report: Mapping[str, Any]) -> str:
    """The heading of page and text."""
    protocol = report["protocol"]["name"]
    return f"Retrieval evaluation over {len(report['runs'])} {report['over']}, protocol {protocol}"


def explanation(report: Mapping[str, Any]) -> str:
    """What the columns are."""
    folds = " Folds share training items, so these intervals are too narrow."
    return (
        f"Mean and standard deviation (n - 1) over the {report['over']}; the interval is the "
        f"mean's 95 % t-interval.{folds if report['over'] == 'folds' else ''} Chance: the expected "
        "value under a random ranking."
    )


def _rows(report: Mapping[str, Any], direction: str) -> list[list[str]]:
    """The cells of a direction's table: metric, mean, deviation, interval, chance, each run."""
    rows = []
    for metric, mean in report["metrics"][direction].items():
        low, high = report["intervals"][direction][metric]
        numbers = (
            mean,
            report["standard_deviations"][direction][metric],
            report["baseline"][direction][metric],
            *(run[direction][metric] for run in report["runs"].values()),
        )
        mean_shown, deviation, chance, *each = (show_value(number, metric) for number in numbers)
        interval = f"{show_value(low, metric)} to {show_value(high, metric)}"
        rows.append([metric, mean_shown, deviation, interval, chance, *each])
    return rows


def _heads(report: Mapping[str, Any]) -> list[str]:
    return ["metric", "mean", "sd", "95 % interval", "chance", *report["runs"]]


def _markdown(report: Mapping[str, Any]) -> str:
    lines = [f"# {title(report)}", "", *(f"> - {note}" for note in report["notes"])]
    heads = _heads(report)
    for direction in report["metrics"]:
        lines += ["", f"## {direction.replace('_', ' ').capitalize()}", ""]
        lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
        lines += [f"| {' | '.join(row)} |" for row in _rows(report, direction)]
    lines += ["", explanation(report), "", f"![Runs]({RUNS_PLOT})", "", "## Lineage", ""]
    lines += ["| what | id | where |", "|---|---|---|"]
    lines += [f"| {name} | {e['id']} | {e['uri']} |" for name, e in report["lineage"].items()]
    return "\n".join([*lines, ""])


def _page(report: Mapping[str, Any], figure: Path) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        files("crossray.evaluation.report").joinpath("repeat.html").read_text(encoding="utf-8")
    )
    page: str = template.render(
        title=title(report),
        explanation=explanation(report),
        notes=report["notes"],
        heads=_heads(report),
        tables={d.replace("_", " "): _rows(report, d) for d in report["metrics"]},
        figure=b64encode(figure.read_bytes()).decode("ascii"),
        lineage=report["lineage"],
    )
    return page
