"""How fast is the mean average precision of Hamming ranking, compared with the usual loop?

    python benchmarks/evaluation.py [--queries 2100] [--items 188321] [--bits 64] [--labels 21]

Random codes and labels in the numbers of NUS-WIDE. The loop takes each query's distances from a
matrix product of float32 codes of +-1, sorts them and averages count / rank over the relevant
items: once with NumPy's default sort, which leaves ties to chance and is compared with
`ties="expected"`, and once with its stable sort, compared with `ties="stable"`. Both may use
all cores; OMP_NUM_THREADS bounds those of the loop's products. Prints a table and, last, one JSON
object: `speedup` and `speedup_stable`, `max_abs_diff` between the stable values of the loop and
ours, and `peak_mib`, the most that ours takes beyond its inputs.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from crossray.evaluation import hamming_average_precision, mean_over_queries
from crossray.evaluation.metrics.ranking import TIES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """Average precision [Q] of one way, and what it cost."""

    ap_Q: Floats
    seconds: float
    peak_mib: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """Measure both.

    Attributes:
        queries: to rank the database for.
        items: in the database.
        bits: of a code.
        labels: in the vocabulary.
        share: of the items that carry a label.
        seed: of everything.
    """

    queries: int = 2100
    items: int = 188_321
    bits: int = 64
    labels: int = 21
    share: float = 0.1
    seed: int = 0

    def run(self) -> None:
        """Make the data, measure, print."""
        rng = np.random.default_rng(self.seed)
        rows = (self.queries, self.items)
        codes = [rng.integers(256, size=(n, self.bits // 8), dtype=np.uint8) for n in rows]
        labels = [rng.random((n, self.labels)) < self.share for n in rows]
        results = {f"ties={ties}": self._ours(codes, labels, ties) for ties in TIES}
        results |= loop(
            *(np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1 for packed in codes),
            *(labels_RC.astype(np.float32) for labels_RC in labels),
        )
        self._print(results)

    def _ours(self, codes: list, labels: list, ties: str) -> Result:
        def compute() -> Floats:
            return hamming_average_precision(*codes, *labels, ties=ties)

        began = time.perf_counter()
        ap_Q = compute()
        seconds = time.perf_counter() - began
        return Result(ap_Q, seconds, peak_mib(compute))

    def _print(self, results: dict[str, Result]) -> None:
        title = f"{self.queries:,} x {self.items:,}, {self.bits} bits, {self.labels} labels"
        table = Table(title=title)
        for column in ("way", "mAP", "seconds", "ms a query", "peak MiB"):
            table.add_column(column, justify="left" if column == "way" else "right")
        for name, result in results.items():
            table.add_row(
                name,
                f"{mean_over_queries(result.ap_Q):.6f}",
                f"{result.seconds:.2f}",
                f"{1000 * result.seconds / self.queries:.2f}",
                "-" if result.peak_mib is None else f"{result.peak_mib:.1f}",
            )
        Console(width=100).print(table)
        expected, stable = results["ties=expected"], results["ties=stable"]
        slow, slow_stable = results["loop"], results["loop, stable sort"]
        figures = {
            "speedup": round(slow.seconds / expected.seconds, 2),
            "speedup_stable": round(slow_stable.seconds / stable.seconds, 2),
            "max_abs_diff": float(np.nanmax(np.abs(stable.ap_Q - slow_stable.ap_Q))),
            "peak_mib": round(max(expected.peak_mib, stable.peak_mib), 1),
        }
        print(json.dumps({"queries": self.queries, "items": self.items, **figures}))


def loop(
    codes_QK: NDArray, codes_NK: NDArray, labels_QC: NDArray, labels_NC: NDArray
) -> dict[str, Result]:
    """The usual loop, with two sorts; the common part of a query's time counts for both."""
    sorts = {"loop": None, "loop, stable sort": "stable"}
    ap = {name: np.full(len(codes_QK), np.nan) for name in sorts}
    seconds = dict.fromkeys(sorts, 0.0)
    for query, (code_K, label_C) in enumerate(zip(codes_QK, labels_QC, strict=True)):
        began = time.perf_counter()
        distance_N = (codes_NK.shape[1] - codes_NK @ code_K) / 2
        relevant_N = labels_NC @ label_C > 0
        common = time.perf_counter() - began
        for name, kind in sorts.items():
            began = time.perf_counter()
            rank_R = np.flatnonzero(relevant_N[np.argsort(distance_N, kind=kind)]) + 1
            if len(rank_R):
                ap[name][query] = np.mean(np.arange(1, len(rank_R) + 1) / rank_R)
            seconds[name] += common + time.perf_counter() - began
    return {name: Result(ap[name], seconds[name]) for name in sorts}


def peak_mib(compute: Callable[[], object]) -> float:
    """The most memory that a computation holds at a time, in MiB."""
    tracemalloc.start()
    compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
