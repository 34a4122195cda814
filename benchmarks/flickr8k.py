"""CLIP and HIER on frozen features of Flickr8k photos and a student of HIER, from ingest to report.

    python benchmarks/flickr8k.py --data DIR [--seeds 0 1 2] [--workers 2]

DIR holds `data.csv` (columns image, caption_0 .. caption_4, labels, split) and `images/`. Needs the
packages of platform/pretrained.txt. Prints a table and, last, one JSON object: R@10 of the first
seed of both systems, of the student of the first seed's HIER and of the student's 64-bit codes with
the vectors' order of the 100 nearest; and HIER's gain over CLIP, paired by query and pooled over
the seeds.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import tyro
from rich.console import Console
from rich.table import Table

from crossray.core.artifacts import Artifact, open_artifact
from crossray.evaluation import paired_bootstrap
from crossray.evaluation.report.report import DIRECTIONS
from crossray.evaluation.significance.compare import PER_QUERY
from crossray.recipes import STUDENTS, get_recipe
from crossray.stages.distill import Distill
from crossray.stages.evaluate import Evaluate
from crossray.stages.features import Features
from crossray.stages.pretrain import Pretrain
from photos import photo_pairs

SYSTEMS = {"clip": "clip_pretrained_tiny", "hier": "hier_pretrained_tiny"}
STUDENT = "student_pretrained_small"
RESCORED = "student_codes_rescored"
BITS, CANDIDATES = 64, 100
SIDE = 4  # what HIER's regions need of a map; CLIP needs its mean only


@dataclass(frozen=True)
class Benchmark:
    """Train and measure both systems."""

    data: Annotated[Path, tyro.conf.arg(help="folder with data.csv and images/")]
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 2
    store: Annotated[Path | None, tyro.conf.arg(help="where artifacts stay and are reused")] = None

    def run(self) -> None:
        """Ingest, cache features, train and evaluate every system and seed, print."""
        with tempfile.TemporaryDirectory() as scratch:
            store = (self.store or Path(scratch)).absolute()
            pairs = photo_pairs(self.data, store / "pairs")
            reports = {
                (system, seed): self._report(system, recipe, seed, pairs, store)
                for system, recipe in SYSTEMS.items()
                for seed in self.seeds
            }
            reports |= self._student(pairs, store, self.seeds[0])
            self._print(reports)

    def _report(self, system: str, name: str, seed: int, pairs: Artifact, store: Path) -> Artifact:
        recipe = get_recipe(name)
        train = replace(recipe.train, seed=seed, workers=self.workers)
        recipe = replace(recipe, train=train)
        features = store / "features"  # both systems read the same towers
        if not features.exists():
            Features.of(recipe, pairs.uri, str(features), side=SIDE, actors=self.workers).run()
        teacher, report = store / f"{system}-{seed}", store / f"report-{system}-{seed}"
        if report.exists():
            return open_artifact(str(report))
        if not teacher.exists():
            Pretrain(pairs.uri, str(teacher), recipe, features=str(features)).run()
        return Evaluate(str(teacher), pairs.uri, str(report), rerank=recipe.train.rerank).run()

    def _student(self, pairs: Artifact, store: Path, seed: int) -> dict[tuple[str, int], Artifact]:
        """The reports of a student of this seed's HIER, by its vectors and by its codes."""
        student, reports = store / f"student-{seed}", {}
        if not student.exists():
            recipe = get_recipe(STUDENT, STUDENTS)
            recipe = replace(recipe, train=replace(recipe.train, seed=seed, workers=self.workers))
            teacher, features = str(store / f"hier-{seed}"), str(store / "features")
            Distill(teacher, pairs.uri, str(student), recipe, features=features).run()
        for name, codes in (("student", {}), (RESCORED, {"codes": BITS, "rescore": CANDIDATES})):
            uri = str(store / f"report-{name}-{seed}")
            reports[name, seed] = (
                open_artifact(uri)
                if Path(uri).exists()
                else Evaluate(str(student), pairs.uri, uri, **codes).run()
            )
        return reports

    def _print(self, reports: dict[tuple[str, int], Artifact]) -> None:
        table = Table(title="Flickr8k, test split, R@10 by own caption or photo")
        for column in ("system", "seed", *(d.replace("_", " ") for d in DIRECTIONS)):
            table.add_column(column)
        for (system, seed), report in reports.items():
            values = [f"{report.manifest.metrics[d]['R@10']:.4f}" for d in DIRECTIONS]
            table.add_row(system, str(seed), *values)
        Console(width=100).print(table)
        gains = {direction: self._gain(reports, direction) for direction in DIRECTIONS}
        for direction, gain in gains.items():
            print(f"HIER minus CLIP, {direction.replace('_', ' ')}, seeds pooled: {gain}")
        first = self.seeds[0]
        result: dict[str, object] = {
            system: {
                d: {"R@10": reports[system, first].manifest.metrics[d]["R@10"]} for d in DIRECTIONS
            }
            for system in (*SYSTEMS, "student", RESCORED)
        }
        print(json.dumps({**result, "hier_minus_clip": gains}))

    def _gain(self, reports: dict[tuple[str, int], Artifact], direction: str) -> dict[str, float]:
        """The paired difference in R@10, resampled by query photo over all seeds together."""
        hits = {system: [] for system in SYSTEMS}
        groups = []
        for system, seed in product(SYSTEMS, self.seeds):
            report = reports[system, seed]
            rows = pq.read_table(report.local() / f"{PER_QUERY}-{direction}.parquet")
            hits[system].append(rows["R@10"].to_numpy())
            if system == "hier":
                groups.append(rows["query_id"].to_numpy())
        result = paired_bootstrap(
            np.concatenate(hits["hier"]),
            np.concatenate(hits["clip"]),
            groups=np.concatenate(groups),
        )
        return {
            "mean": round(result.mean_difference, 4),
            "low": round(result.low, 4),
            "high": round(result.high, 4),
            "p": result.p_value,
        }


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
