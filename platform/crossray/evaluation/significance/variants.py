"""Variants of a system that answered the same queries: their metrics and their differences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.significance import bootstrap
from crossray.evaluation.significance.claims import QueryTables
from crossray.evaluation.significance.compare import QUERY_ID
from crossray.evaluation.significance.corrections import holm


def with_differences(
    values: QueryTables,
    full: str,
    metrics: Sequence[str],
    bases: Mapping[str, str] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """`metrics`, `intervals` and `differences` of every variant, by direction and metric.

    `values` have by variant and direction a table with one row a query. `bases` name for a variant
    what it is compared with; by default that is `full` for all the others. `seed` is that of the
    bootstrap. Raises CrossRayError for variants that answered other queries than `full`.
    """
    _check_queries(values, full)
    bases = {name: full for name in values if name != full} if bases is None else bases
    differences = _paired_differences(values, bases, metrics, seed)
    return {
        name: {**_measured(tables, metrics, seed), "differences": differences.get(name, {})}
        for name, tables in values.items()
    }


def _check_queries(values: QueryTables, full: str) -> None:
    for name, tables in values.items():
        for direction, table in values[full].items():
            if tables[direction][QUERY_ID] != table[QUERY_ID]:
                raise CrossRayError(
                    f"the runs were asked different {direction} queries: {name} answered other "
                    f"{direction} queries than {full}; evaluate both again on the same split with "
                    "as many seeds."
                )


def _columns(table: pa.Table, metrics: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in metrics if name in table.column_names}


def _measured(
    tables: Mapping[str, pa.Table], metrics: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Metrics and intervals of one variant, by direction."""
    found: dict[str, dict[str, Any]] = {"metrics": {}, "intervals": {}}
    for direction, table in tables.items():
        columns = _columns(table, metrics)
        found["metrics"][direction] = {
            name: float((np.nanmedian if name == MEDIAN_RANK else np.nanmean)(column))
            for name, column in columns.items()
        }
        intervals = bootstrap.confidence_intervals(
            columns, {MEDIAN_RANK: "median"}, seed=seed, groups=table[QUERY_ID].to_numpy()
        )
        found["intervals"][direction] = {name: list(ends) for name, ends in intervals.items()}
    return found


def _paired_differences(
    values: QueryTables, bases: Mapping[str, str], metrics: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """What a variant has more than its base, by variant, direction and metric.

    Paired bootstrap over queries; the p-values of all are one family for Holm.
    """
    tested = [name for name in metrics if name != MEDIAN_RANK]
    results: dict[tuple[str, str, str], bootstrap.BootstrapResult] = {}
    for variant, base in bases.items():
        for direction, table in values[variant].items():
            found = bootstrap.paired_bootstraps(
                _columns(table, tested), _columns(values[base][direction], tested),
                seed=seed, groups=table[QUERY_ID].to_numpy(),
            )  # fmt: skip
            results |= {(variant, direction, name): result for name, result in found.items()}
    corrected = holm([result.p_value for result in results.values()])
    differences: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (variant, direction, name), result, p_value in zip(
        results, results.values(), corrected.tolist(), strict=True
    ):
        differences.setdefault(variant, {}).setdefault(direction, {})[name] = {
            "mean": result.mean_difference,
            "low": result.low,
            "high": result.high,
            "p_value": p_value,
        }
    return differences
