"""Reports side by side, and which differences are more than chance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table
from rich.text import Text

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import show_value
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.protocols.protocol import Direction
from crossray.evaluation.significance.bootstrap import BootstrapResult, paired_bootstraps
from crossray.evaluation.significance.corrections import CORRECTIONS, Correction, significance_mark
from crossray.evaluation.significance.paired_t_test import TTestResult, paired_t_test
from crossray.evaluation.significance.permutation import paired_permutation

PER_QUERY = "per_query"  # with a direction, the name of a Parquet file next to the report
REFERENCE_PER_QUERY = f"reference_{PER_QUERY}"
QUERY_ID = "query_id"
_OF_MANY_RUNS = {"ablation", "annotation", "few_shot"}

Test = Literal["bootstrap", "permutation"]
TESTS: dict[Test, str] = {
    "bootstrap": "paired bootstrap over queries",
    "permutation": "paired permutation test over queries",
}


@dataclass(frozen=True)
class Difference:
    """What a report has more than the first, with a 95 % interval and a corrected p-value."""

    mean: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Line:
    """A metric of one direction: its values, and for all reports but the first the difference.

    The median rank has no differences: the test is one of means.
    """

    direction: str
    metric: str
    values: tuple[float, ...]
    differences: tuple[Difference, ...]


def compare_reports(
    reports: Sequence[Artifact],
    seed: int = 0,
    test: Test = "bootstrap",
    correction: Correction = "holm",
) -> list[Line]:
    """Every metric that the reports share; differences to the first report, tested by query.

    The intervals are the paired bootstrap's and `test` gives the p-values; both take the values of
    a query id together. `correction` is for the family of all differences that are returned.
    Raises CrossRayError for fewer than two reports, for reports of many runs, and for reports of
    other data, another split, protocol or other queries than the first.
    """
    if len(reports) < 2:
        raise CrossRayError("a comparison needs two reports or more; name another.")
    for report in reports:
        if _OF_MANY_RUNS & report.manifest.config.keys():
            raise CrossRayError(
                f"{report.uri} is of many runs, which it compares itself; name reports of single "
                "runs."
            )
    for other in reports[1:]:
        require_same_terms(reports[0], other, ("split", "protocol"))
    lines: list[tuple[str, str, list[BootstrapResult]]] = []
    for direction in _directions(reports[0]):
        first, *others = (_per_query(report, direction) for report in reports)
        for report, rows in zip(reports[1:], others, strict=True):
            if rows[QUERY_ID] != first[QUERY_ID]:
                raise CrossRayError(
                    f"{report.uri} answered other {direction} queries than {reports[0].uri}; "
                    "evaluate both anew on the same pairs."
                )
        shared = [
            name
            for name in first.column_names
            if name != QUERY_ID and all(name in rows.column_names for rows in others)
        ]
        tested = [name for name in shared if name != MEDIAN_RANK]
        results = [_tested(rows, first, tested, seed, test) for rows in others]
        lines += [(direction, name, [r[name] for r in results if name in r]) for name in shared]
    return corrected_lines(lines, [report.manifest.metrics for report in reports], correction)


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
    first, *others = (_report_json(report) for report in reports)
    lines: list[tuple[str, str, list[TTestResult]]] = [
        (
            direction,
            metric,
            [
                paired_t_test(
                    _of_runs(other, direction, metric), _of_runs(first, direction, metric)
                )
                for other in others
            ],
        )
        for direction, metrics in first["metrics"].items()
        for metric in metrics
        if all(metric in other["metrics"].get(direction, {}) for other in others)
    ]
    return corrected_lines(lines, [content["metrics"] for content in (first, *others)], correction)


def corrected_lines(
    tested: Sequence[tuple[str, str, Sequence[BootstrapResult | TTestResult]]],
    metrics: Sequence[Mapping[str, Mapping[str, float]]],
    correction: Correction,
) -> list[Line]:
    """Direction, metric and test results of every line, with the p-values corrected together.

    `metrics` are those of each report, by direction.
    """
    p_values = [result.p_value for _, _, results in tested for result in results]
    family = iter(CORRECTIONS[correction](p_values))
    return [
        Line(
            direction,
            metric,
            tuple(values[direction][metric] for values in metrics),
            tuple(
                Difference(r.mean_difference, r.low, r.high, float(next(family))) for r in results
            ),
        )
        for direction, metric, results in tested
    ]


def _tested(
    rows: pa.Table, first: pa.Table, names: Sequence[str], seed: int, test: Test
) -> dict[str, BootstrapResult]:
    """The bootstrap of each metric, with the p-value of `test`."""
    ids = np.asarray(first[QUERY_ID].to_pylist())
    a, b = _columns(rows, names), _columns(first, names)
    results = paired_bootstraps(a, b, seed=seed, groups=ids)
    if test == "bootstrap":
        return results
    return {
        name: replace(
            result, p_value=paired_permutation(a[name], b[name], seed=seed, groups=ids).p_value
        )
        for name, result in results.items()
    }


def comparison_table(
    lines: Sequence[Line],
    names: Sequence[str],
    test: str = TESTS["bootstrap"],
    correction: Correction = "holm",
) -> Table:
    """The lines for the screen, one column a report; `test` says how they were tested."""
    tests = sum(len(line.differences) for line in lines)
    table = Table(
        title="Reports compared with the first",
        caption=f"difference and its 95 % interval; * p < 0.05, ** p < 0.01: {test}, "
        f"{correction.capitalize()} over the {tests} differences",
    )
    for column in ("direction", "metric", *names):
        table.add_column(Text(column))
    for line in lines:
        first, *others = line.values
        cells = [show_value(first, line.metric)]
        for number, value in enumerate(others):
            difference = line.differences[number] if line.differences else None
            cells.append(f"{show_value(value, line.metric)}{_shown(difference)}")
        cells = [line.direction.replace("_", " "), line.metric, *cells]
        table.add_row(*map(Text, cells))
    return table


def require_same_terms(first: Artifact, other: Artifact, terms: Sequence[str]) -> None:
    """Raise CrossRayError for reports on other data or with other `terms` in their config."""
    wanted, found = (_measured_on(report) for report in (first, other))
    if wanted != found:
        raise CrossRayError(
            f"{other.uri} was measured on {found} and {first.uri} on {wanted}; compare reports on "
            "the same data."
        )
    for term in terms:
        wanted, found = (report.manifest.config[term] for report in (first, other))
        if wanted != found:
            raise CrossRayError(
                f"{other.uri} has the {term} {found!r} and {first.uri} {wanted!r}; evaluate both "
                "the same way."
            )


def _directions(report: Artifact) -> list[str]:
    """The directions of a report; all reports of a protocol share them."""
    return [name for name in get_args(Direction) if name in report.manifest.metrics]


def _measured_on(report: Artifact) -> str:
    data = (p for p in report.manifest.parents if p.kind in ("pairs", "features"))
    return next((f"the {parent.kind} {parent.id}" for parent in data), "unknown data")


def _per_query(report: Artifact, direction: str) -> pa.Table:
    return pq.read_table(report.local() / f"{PER_QUERY}-{direction}.parquet")


def _columns(rows: pa.Table, names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: rows[name].to_numpy() for name in names}


def _shown(difference: Difference | None) -> str:
    if difference is None:
        return ""
    mark = significance_mark(difference.p_value)
    ends = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    return f" ({difference.mean:+.3f} {ends}){mark}"


def _report_json(report: Artifact) -> dict[str, Any]:
    text = (report.local() / "report.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _of_runs(content: dict[str, Any], direction: str, metric: str) -> list[float]:
    return [run[direction][metric] for run in content["runs"].values()]
