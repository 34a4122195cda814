"""What the reports of studies say: the spread over runs, variants of a system, curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import show_value
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.report.page import Plot
from crossray.evaluation.report.section import PageSection
from crossray.evaluation.report.study_report import StudyPoint, explain, tables, write_study
from crossray.evaluation.significance.bootstrap import ratio_of_means
from crossray.evaluation.significance.claims import Claim, QueryTables, judge_claims
from crossray.evaluation.significance.compare import QUERY_ID
from crossray.evaluation.significance.paired_t_test import spread_of
from crossray.evaluation.significance.variants import with_differences

Over = Literal["seeds", "folds"]
RUNS = Plot("runs.png", "Every run", "Dots: the runs, the mean with its 95 % interval last")
VARIANTS = Plot(
    "variants.png", "Every variant", "95 % intervals; dashed: what the others are compared with"
)
CURVES = Plot(
    "curves.png",
    "Curves",
    "Scores against the share of pairs, with 95 % intervals; dotted: chance, dashed: all pairs",
)
PLAIN, STAGED = "pairs alone", "with stage 1"
SHARE_OF_PAIRS, SHARE_OF_SCORE = 0.3, 0.9  # HIER's hypothesis H1 (docs/methods/hier.md)


def write_spread(
    directory: Path,
    runs: Mapping[str, Mapping[str, Any]],
    over: Over,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the report of repeated runs; return the content of `report.json`.

    Args:
        directory: where the files go.
        runs: the content of every run's `report.json` by the run's name, two or more.
        over: what differs between the runs.
        facts: `lineage` and `notes`.

    The JSON has, by direction and metric, the means over the runs (`metrics`), their 95 %
    t-intervals, `standard_deviations` over R - 1 and the mean chance level (`baseline`), and under
    `runs` the values of each. Metrics that not every run has are left out. Raises CrossRayError for
    fewer than two runs.
    """
    first = next(iter(runs.values()))

    def gathered(part: str) -> dict[str, dict[str, list[float]]]:
        return {
            direction: {
                metric: [run[part][direction][metric] for run in runs.values()]
                for metric in metrics
                if all(metric in run["intervals"][direction] for run in runs.values())
            }
            for direction, metrics in first["intervals"].items()
        }

    values = gathered("metrics")
    spreads = _each(values, spread_of)
    report: dict[str, Any] = {
        "metrics": _each(spreads, lambda spread: spread.mean),
        "intervals": _each(spreads, lambda spread: [spread.low, spread.high]),
        "standard_deviations": _each(spreads, lambda spread: spread.deviation),
        "baseline": _each(gathered("baseline"), fmean),
        "runs": {name: _each(values, itemgetter(number)) for number, name in enumerate(runs)},
        "over": over,
        "protocol": first["protocol"],
        "lineage": facts["lineage"],
        "notes": facts["notes"],
    }
    protocol = report["protocol"]["name"]
    folds = " Folds share training items, so these intervals are too narrow."
    write_study(
        directory,
        f"Retrieval evaluation over {len(runs)} {over}, protocol {protocol}",
        f"Mean and standard deviation (n - 1) over the {over}; the interval is the mean's 95 % "
        f"t-interval.{folds if over == 'folds' else ''} Chance: the expected value under a random "
        "ranking.",
        report,
        [_spread_table(report, direction) for direction in values],
        [
            *(StudyPoint((name,), {"metrics": found}) for name, found in report["runs"].items()),
            StudyPoint(("mean",), report),
        ],
        report["metrics"],
        RUNS,
    )
    return report


def _each(
    values: Mapping[str, Mapping[str, Any]], change: Callable[[Any], Any]
) -> dict[str, dict[str, Any]]:
    """What becomes of each value, by direction and metric."""
    return {
        direction: {metric: change(value) for metric, value in metrics.items()}
        for direction, metrics in values.items()
    }


def _spread_table(report: Mapping[str, Any], direction: str) -> PageSection:
    """A direction's table: metric, mean, deviation, interval, chance, each run."""
    rows = []
    for metric, mean in report["metrics"][direction].items():
        numbers = (
            mean,
            report["standard_deviations"][direction][metric],
            *report["intervals"][direction][metric],
            report["baseline"][direction][metric],
            *(run[direction][metric] for run in report["runs"].values()),
        )
        shown, deviation, low, high, *rest = (show_value(number, metric) for number in numbers)
        rows.append([metric, shown, deviation, f"{low} to {high}", *rest])
    heads = ["metric", "mean", "sd", "95 % interval", "chance", *report["runs"]]
    return PageSection(direction.replace("_", " ").capitalize(), [], heads, rows)


def write_variants(
    directory: Path,
    values: QueryTables,
    full: str,
    metrics: Sequence[str],
    changes: Mapping[str, Sequence[str]],
    parameters: Mapping[str, int],
    facts: Mapping[str, Any],
    claims: Sequence[Claim] = (),
    places: Mapping[str, float] | None = None,
    axis: str = "",
) -> dict[str, Any]:
    """Write the report of variants compared with one of them; return the content of `report.json`.

    Args:
        directory: where the files go.
        values: by variant and direction a table with one row a query: its id, and a column a
            metric. The rows of several seeds follow each other; the bootstrap then draws a query
            with its values of all seeds.
        full: the variant that the others are compared with.
        metrics: the columns that are shown; those that a direction lacks are left out.
        changes: by variant, what differs from `full`.
        parameters: how many each variant's model has.
        facts: what goes into the JSON as it is: `title`, `protocol`, `seeds`, `baseline` (chance
            levels by direction), `lineage` and `notes`.
        claims: orderings of the paper.
        places: of the variants on the plot's axis, where they are steps of one quantity.
        axis: what the places count.

    The JSON has under `variants`, by name, `metrics`, `intervals` (bootstrap over queries, 95 %)
    and `differences` to `full`, each by direction and metric, and `claims` as `judge_claims` gives
    them. Raises CrossRayError for variants that answered other queries.
    """
    found = with_differences(values, full, metrics)
    report: dict[str, Any] = {
        "full": full,
        "variants": {
            name: {"changes": list(changes[name]), "parameters": parameters[name], **found[name]}
            for name in values
        },
        "claims": judge_claims(claims, values),
        **facts,
    }
    points = [StudyPoint((name,), found[name], (places or {}).get(name)) for name in values]
    rows = [[name, f"{parameters[name]:,}", "; ".join(changes[name])] for name in values]
    claimed = PageSection("What the paper claims", [claim["words"] for claim in report["claims"]])
    often = "once" if report["seeds"] == 1 else f"with {report['seeds']} seeds"
    write_study(
        directory,
        f"{report['title']}, protocol {report['protocol']['name']}",
        explain(
            f"{len(values)} variants, each trained and evaluated {often}.",
            f"Differences are to {full}",
            report["seeds"],
        ),
        report,
        [
            *([claimed] if claims else []),
            *tables(["variant"], points, report["baseline"]),
            PageSection(
                "What was changed", [], ["variant", "parameters", "other than the full"], rows
            ),
        ],
        points,
        found[full]["metrics"],
        VARIANTS,
        axis,
    )
    return report


def write_curves(
    directory: Path,
    curves: Mapping[str, Mapping[float, Mapping[str, pa.Table]]],
    metrics: Sequence[str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the report of annotation efficiency; return the content of `report.json`.

    Args:
        directory: where the files go.
        curves: by `PLAIN` and, where there is one, `STAGED`, and by fraction of the pairs, the
            values of every query by direction: a column of ids and one a metric. The rows of
            several seeds follow each other. `PLAIN` has the fraction 1.
        metrics: the columns that are shown.
        facts: what goes into the JSON as it is: `pairs` (training pairs by fraction), `protocol`,
            `seeds`, `baseline` (chance by direction), `lineage` and `notes`.

    The JSON has under `curves`, by curve and fraction, `metrics`, `intervals` and `ratios` to all
    pairs alone (value, low, high), each by direction and metric; `differences` that stage 1 makes
    at each fraction, tested in pairs, p-values after Holm; and `hypothesis`: whether 30 % of the
    pairs reach 90 % of the score. Raises CrossRayError for systems that answered other queries.
    """
    values = {_row(c, f): tables for c, points in curves.items() for f, tables in points.items()}
    bases = {_row(STAGED, f): _row(PLAIN, f) for f in curves.get(STAGED, {})}
    found = with_differences(values, _row(PLAIN, 1), metrics, bases)
    full = curves[PLAIN][1.0]
    measured = {
        curve: {
            f"{fraction:g}": {
                **found[_row(curve, fraction)],
                "ratios": _ratios(tables, full, metrics),
            }
            for fraction, tables in points.items()
        }
        for curve, points in curves.items()
    }
    kept = ("metrics", "intervals", "ratios")
    report: dict[str, Any] = {
        "curves": {
            curve: {fraction: {name: point[name] for name in kept} for fraction, point in p.items()}
            for curve, p in measured.items()
        },
        "differences": {f: point["differences"] for f, point in measured.get(STAGED, {}).items()},
        **facts,
    }
    report["hypothesis"] = _hypothesis(report["curves"])
    points = [
        StudyPoint(
            (fraction, f"{report['pairs'][fraction]:,}", curve), measured[curve][fraction],
            100 * float(fraction), curve,
        )
        for fraction in measured[PLAIN]
        for curve in measured
    ]  # fmt: skip
    claims = _claims(report)
    write_study(
        directory,
        f"Annotation efficiency, protocol {report['protocol']['name']}",
        explain(
            "Training pairs are split into image and text, nested and balanced by label, until a "
            f"fraction is left; {STAGED}, the towers start from pretext tasks that saw all images "
            "and texts, unpaired.",
            f"Ratios are to all {PLAIN}, differences to {PLAIN} at the same fraction",
            report["seeds"],
        ),
        report,
        [
            *([PageSection(f"{SHARE_OF_PAIRS:.0%} of the pairs", claims)] if claims else []),
            *tables(["fraction", "pairs", "trained"], points, report["baseline"]),
        ],
        points,
        measured[PLAIN]["1"]["metrics"],
        CURVES,
        "% of the pairs",
    )
    return report


def _row(curve: str, fraction: float) -> str:
    return f"{curve}, {fraction:g}"


def _ratios(
    tables: Mapping[str, pa.Table], full: Mapping[str, pa.Table], metrics: Sequence[str]
) -> dict[str, dict[str, dict[str, float] | None]]:
    """What part of the full score is reached, by direction and metric; None of a score of 0."""
    return {
        direction: {
            metric: _ratio(table[metric], full[direction][metric], table[QUERY_ID])
            for metric in metrics
            if metric != MEDIAN_RANK and metric in table.column_names
        }
        for direction, table in tables.items()
    }


def _ratio(
    a: pa.ChunkedArray, b: pa.ChunkedArray, groups: pa.ChunkedArray
) -> dict[str, float] | None:
    try:
        return asdict(ratio_of_means(a.to_numpy(), b.to_numpy(), groups=groups.to_numpy()))
    except CrossRayError:
        return None


def _hypothesis(curves: Mapping[str, Any]) -> dict[str, Any]:
    """Whether `SHARE_OF_PAIRS` reach `SHARE_OF_SCORE` of all pairs alone, by curve."""
    share = f"{SHARE_OF_PAIRS:g}"
    reached = {
        curve: {
            direction: {
                metric: None if ratio is None else ratio["value"] >= SHARE_OF_SCORE
                for metric, ratio in ratios.items()
            }
            for direction, ratios in points[share]["ratios"].items()
        }
        for curve, points in curves.items()
        if share in points
    }
    return {"pairs": SHARE_OF_PAIRS, "score": SHARE_OF_SCORE, "reached": reached}


def _claims(report: Mapping[str, Any]) -> list[str]:
    """The hypothesis in sentences, one a curve, direction and metric."""
    share = f"{SHARE_OF_PAIRS:g}"
    return [
        f"{curve}, {direction.replace('_', ' ')}, {metric}: {_claim(ratio)}"
        for curve, points in report["curves"].items()
        for direction, ratios in points.get(share, {}).get("ratios", {}).items()
        for metric, ratio in ratios.items()
    ]


def _claim(ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return f"all {PLAIN} find nothing, so there is no ratio."
    verdict = "reached" if ratio["value"] >= SHARE_OF_SCORE else "not reached"
    return (
        f"{ratio['value']:.1%} [{ratio['low']:.1%}, {ratio['high']:.1%}] of the score of all "
        f"{PLAIN}; {SHARE_OF_SCORE:.0%} is {verdict}."
    )
