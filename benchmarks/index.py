"""How fast, how right and how large are the kinds of index?

    python benchmarks/index.py [--rows 200000] [--dim 256] [--bits 64] [--target-recall 0.95]

Clustered random vectors; codes are the signs of random projections, as good as codes are that
nobody has trained. Every kind answers the same queries one at a time on one thread. Prints a table
and, last, one JSON object: milliseconds a query (median), recall@10 and bytes of each kind, and the
same divided by those of the exact flat scan in this run.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from crossray.index.candidates import merge_candidates
from crossray.index.floats import tune, write_floats
from crossray.index.hits import Hits
from crossray.index.kinds import IndexKind
from crossray.index.layout import CODES, FLOATS, VECTORS
from crossray.index.part import open_part
from crossray.index.queries import Queries, candidates_for
from crossray.index.recall import K, Trial, exact_hits, recall
from crossray.index.staging import PartWriter

KINDS: tuple[IndexKind, ...] = ("flat", "ivf", "hnsw")
BLOCK = 8192


@dataclass(frozen=True)
class Result:
    """What one way of searching costs and finds."""

    ms: float
    recall: float
    bytes: int
    build_seconds: float
    effort: int | None = None


@dataclass(frozen=True)
class Benchmark:
    """Build and measure every kind.

    Attributes:
        rows: vectors in the index.
        dim: of a vector.
        bits: of a code.
        clusters: that the vectors lie in.
        queries: how many are searched; none of them is stored.
        target_recall: that IVF and HNSW are tuned to.
        seed: of everything.
    """

    rows: int = 200_000
    dim: int = 256
    bits: int = 64
    clusters: int = 2000
    queries: int = 200
    target_recall: float = 0.95
    seed: int = 0

    def run(self) -> None:
        """Make the data, measure, print."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "part"
            queries = self._data(folder)
            trial = Trial(queries, exact_hits([folder], queries.vectors_QD))
            results = {kind: self._float(folder, kind, trial) for kind in KINDS}
            results |= self._codes(folder, trial)
        self._print(results)

    def _data(self, folder: Path) -> Queries:
        """Write vectors and codes; gives queries from the same clusters."""
        rng = np.random.default_rng(self.seed)
        centres = rng.standard_normal((self.clusters, self.dim), np.float32)
        planes = rng.standard_normal((self.dim, self.bits), np.float32)

        def draw(number: int) -> Queries:
            vectors = centres[rng.integers(self.clusters, size=number)]
            vectors += rng.standard_normal(vectors.shape, np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            return Queries(vectors, np.packbits(vectors @ planes >= 0, axis=1))

        writer = PartWriter(folder, np.arange(self.rows), self.dim, self.bits)
        for start in range(0, self.rows, BLOCK):
            vectors, codes = draw(min(BLOCK, self.rows - start))
            writer.write(vectors.astype(np.float16), codes)
        writer.close()
        return draw(self.queries)

    def _float(self, folder: Path, kind: IndexKind, trial: Trial) -> Result:
        began = time.perf_counter()
        write_floats([folder], kind, self.seed, lambda rows: None)
        seconds = time.perf_counter() - began
        effort, reached = tune(
            kind, [open_part(folder, None, self.bits)], trial, self.target_recall
        )
        part = open_part(folder, effort, self.bits)
        ms = milliseconds(trial.queries, lambda query: part.nearest(query.vectors_QD, K))
        size = (folder / FLOATS).stat().st_size
        return Result(ms, reached, size, seconds, effort)

    def _codes(self, folder: Path, trial: Trial) -> dict[str, Result]:
        part = open_part(folder, None, self.bits)
        candidates = candidates_for(K, None)

        def rescore(queries: Queries) -> Hits:
            return merge_candidates([part.candidates(queries, candidates)], candidates, K)

        searches: dict[str, Callable[[Queries], Hits]] = {
            "binary": lambda queries: part.nearest_codes(queries.codes_QY, K),
            "rescore": rescore,
        }
        size = {"binary": (folder / CODES).stat().st_size}
        size["rescore"] = size["binary"] + (folder / VECTORS).stat().st_size
        queries_QD = trial.queries.vectors_QD
        return {
            name: Result(
                milliseconds(trial.queries, find),
                recall([part], queries_QD, find(trial.queries).rows_QK, trial.exact),
                size[name],
                0.0,
            )
            for name, find in searches.items()
        }

    def _print(self, results: dict[str, Result]) -> None:
        flat = results["flat"]
        table = Table(title=f"{self.rows:,} x {self.dim}, {self.bits} bits; in brackets: / flat")
        for column in ("index", "effort", "ms a query", f"recall@{K}", "MiB", "build s"):
            table.add_column(column, justify="left" if column == "index" else "right")
        figures = {}
        for name, result in results.items():
            ratios = {
                "ms": result.ms / flat.ms,
                "recall": result.recall / flat.recall,
                "bytes": result.bytes / flat.bytes,
            }
            table.add_row(
                name,
                str(result.effort or "-"),
                f"{result.ms:.3f} ({ratios['ms']:.3f})",
                f"{result.recall:.3f} ({ratios['recall']:.3f})",
                f"{result.bytes / 2**20:.1f} ({ratios['bytes']:.3f})",
                f"{result.build_seconds:.1f}",
            )
            figures[name] = {
                "ms": round(result.ms, 4),
                "recall@10": round(result.recall, 4),
                "bytes": result.bytes,
                "over_flat": {key: round(value, 4) for key, value in ratios.items()},
            }
        Console(width=100).print(table)
        print(json.dumps({"rows": self.rows, "dim": self.dim, "bits": self.bits, **figures}))


def milliseconds(queries: Queries, find: Callable[[Queries], Hits]) -> float:
    """The median time of a query that runs alone, after each has run once to warm up."""
    alone = [
        Queries(vector_D[None], code_Y[None]) for vector_D, code_Y in zip(*queries, strict=True)
    ]
    for query in alone:
        find(query)
    times = []
    for query in alone:
        began = time.perf_counter()
        find(query)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
