"""The report of a sweep: `report.json`, and a page, a text and plots for readers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from crossray.evaluation.metrics import show_value
from crossray.evaluation.report import sweep_plots
from crossray.evaluation.report.page import Plot, write_pages
from crossray.evaluation.report.section import PageSection
from crossray.evaluation.report.study_report import StudyPoint, tables
from crossray.evaluation.report.sweep_trial import SweepTrial, finished, front, picked
from crossray.evaluation.significance.claims import QueryTables
from crossray.evaluation.significance.variants import with_differences

FRONT = Plot(
    "front.png", "The front", "Finished trials; rings: no other trial beats them in everything"
)
CURVES = Plot("curves.png", "Learning curves", "Every trial; dark: the best")
PARALLEL = Plot("parallel.png", "Parallel coordinates", "A line a trial, dark where it is good")
IMPORTANCE = Plot(
    "importance.png", "What decides", "Importance of each field by PED-ANOVA, shares of 1"
)


def write_sweep_report(
    directory: Path,
    trials: Sequence[SweepTrial],
    contest: QueryTables,
    metrics: Sequence[str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write `report.json`, `report.md`, `report.html` and plots; return the JSON's content.

    Args:
        directory: where the files go.
        trials: all of the sweep, one or more of them finished.
        contest: the top trials, the best first, trained with several seeds: by trial and direction
            a table with one row a query of the validation split, its id and a column a metric; may
            be empty.
        metrics: the columns of `contest` that are shown.
        facts: what goes into the JSON as it is: `recipe` (its name), `metric`, `searched` (how),
            `test` (metrics of the final pick by direction), `pick` (its name and rule), `seeds`,
            `lineage` and `notes`.

    The JSON has `trials`, `front` (names), `best`, `knee`, `importance`, `contest` (metrics,
    intervals and differences to the best) and `epochs` (trained by all trials together).
    """
    study = sweep_plots.study_of(trials)
    importance = sweep_plots.importance_of(study)
    best = picked(trials, "best")
    report: dict[str, Any] = {
        **facts,
        "trials": [asdict(trial) for trial in trials],
        "front": [trial.name for trial in front(trials)],
        "best": best.name,
        "knee": picked(trials, "knee").name,
        "importance": importance,
        "epochs": sum(max(trial.curve, default=0) for trial in trials),
        "contest": with_differences(contest, next(iter(contest)), metrics) if contest else {},
    }
    metric, figures = facts["metric"], [FRONT, CURVES]
    sweep_plots.plot_front(trials, metric, directory / FRONT.name)
    sweep_plots.plot_curves(trials, best, metric, directory / CURVES.name)
    if study.trials[0].params:
        sweep_plots.plot_parallel(study, metric, directory / PARALLEL.name)
        figures.append(PARALLEL)
    if importance:
        sweep_plots.plot_importance(importance, directory / IMPORTANCE.name)
        figures.append(IMPORTANCE)
    title = f"Sweep of {facts['recipe']}: {len(trials)} trials by {metric}"
    sections = _sections(trials, report, contest)
    write_pages(directory, title, _explanation(report), report, sections, figures)
    return report


def _explanation(report: Mapping[str, Any]) -> str:
    return (
        f"{report['searched']} Trials were judged on validation data by {report['metric']}, the "
        f"mean of both directions; of codes, where the method makes some. All trials together took "
        f"{report['epochs']} epochs. Only the final pick, {report['pick']['name']} (the "
        f"{report['pick']['rule']}), was asked about the test split, once."
    )


def _sections(
    trials: Sequence[SweepTrial], report: Mapping[str, Any], contest: QueryTables
) -> list[PageSection]:
    names = list(trials[0].values)
    columns = ["trial", *names, report["metric"], "MB a million items", "ms a query", "epochs"]

    def lines(shown: Sequence[SweepTrial]) -> list[list[str]]:
        return [[t.name, *(str(t.values[n]) for n in names), *_cells(t)] for t in shown]

    marks = (
        f"Best: {report['best']}. Knee: {report['knee']}, the nearest to the ideal of all three."
    )
    kept = set(report["front"])
    sections = [
        PageSection(
            "The front",
            [marks],
            columns,
            lines([trial for trial in finished(trials) if trial.name in kept]),
        )
    ]
    if report["test"]:
        rows = [
            [direction.replace("_", " "), metric, show_value(value, metric)]
            for direction, found in report["test"].items()
            for metric, value in found.items()
        ]
        title = f"The pick, {report['pick']['name']}, on the test split"
        sections.append(PageSection(title, [], ["direction", "metric", "value"], rows))
    if contest:
        sections += _contest_sections(report)
    others = sorted(
        (trial for trial in trials if trial.state != "failed"), key=lambda t: -(t.quality or 0.0)
    )
    sections.append(
        PageSection("All trials", [], [*columns, "state"], [
            [*line, trial.state] for line, trial in zip(lines(others), others, strict=True)
        ])
    )  # fmt: skip
    failed = [trial for trial in trials if trial.state == "failed"]
    if failed:
        rows = [[t.name, *(str(t.values[n]) for n in names), t.error or ""] for t in failed]
        sections.append(PageSection("Failed", [], ["trial", *names, "error"], rows, alarm=True))
    return sections


def _contest_sections(report: Mapping[str, Any]) -> list[PageSection]:
    points = [StudyPoint((name,), found) for name, found in report["contest"].items()]
    words = [
        f"Each trained with {report['seeds']} seeds. Differences to {report['best']}: paired "
        "bootstrap over the validation queries, which are drawn with their values of all seeds; p "
        "after Holm over all differences; * p < 0.05, ** p < 0.01."
    ]
    sections = [
        replace(section, title=f"The top trials over seeds, {section.title.lower()}")
        for section in tables(["trial"], points)
    ]
    return [replace(sections[0], words=words), *sections[1:]]


def _cells(trial: SweepTrial) -> list[str]:
    quality = "" if trial.quality is None else f"{trial.quality:.4f}"
    megabytes = "" if trial.megabytes is None else f"{trial.megabytes:,.0f}"
    milliseconds = "" if trial.milliseconds is None else f"{trial.milliseconds:.1f}"
    return [quality, megabytes, milliseconds, str(max(trial.curve, default=0))]
