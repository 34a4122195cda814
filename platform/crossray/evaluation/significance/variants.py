"""Variants of a system that answered the same queries: their metrics and their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.significance.bootstrap import (
    BootstrapResult,
    confidence_intervals,
    paired_bootstraps,
)
from crossray.evaluation.significance.claims import Values
from crossray.evaluation.significance.compare import QUERY_ID
from crossray.evaluation.significance.corrections import holm


def check_queries(values: Values, full: str) -> None:
    """Raises CrossRayError for variants that answered other queries than `full`."""
    for name, tables in values.items():
        for direction, table in values[full].items():
            if tables[direction][QUERY_ID] != table[QUERY_ID]:
                raise CrossRayError(
                    f"the variant {name} answered other {direction} queries than {full}; evaluate "
                    "both anew on the same data."
                )


def _columns(table: pa.Table, metrics: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in metrics if name in table.column_names}


def measured(
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
        intervals = confidence_intervals(
            columns, {MEDIAN_RANK: "median"}, seed=seed, groups=table[QUERY_ID].to_numpy()
        )
        found["intervals"][direction] = {name: list(ends) for name, ends in intervals.items()}
    return found


def paired_differences(
    values: Values, full: str, metrics: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """What a variant has more than `full`, by variant, direction and metric.

    Paired bootstrap over queries; the p-values of all are one family for Holm.
    """
    tested = [name for name in metrics if name != MEDIAN_RANK]
    results: dict[tuple[str, str, str], BootstrapResult] = {}
    for variant, tables in values.items():
        for direction, table in tables.items():
            if variant == full:
                continue
            base = values[full][direction]
            found = paired_bootstraps(
                _columns(table, tested), _columns(base, tested),
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
