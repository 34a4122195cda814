"""The five published systems and CCA on frozen features of Flickr8k, by their protocols.

    python benchmarks/systems.py --data DIR [--systems hier cmfg mmdl gpldan mmach] [--seeds 0 1 2]

DIR holds `data.csv` (columns image, caption_0 .. caption_4, labels, split) and `images/`. Needs the
packages of platform/pretrained.txt. Every system is trained once a seed and judged on the test
split; CCA is the reference line of the same reports: fitted on the same features, under the same
protocol, by its signs where codes are ranked. Prints a table and, last, one JSON object: of every
system and direction its figure (mean over the seeds), CCA's, and the p-value of their difference,
paired by query and pooled over the seeds; `p_vs_cca` is the largest of its directions.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import tyro
from rich.console import Console
from rich.table import Table

from crossray.core.artifacts import Artifact, open_artifact
from crossray.evaluation import paired_bootstrap
from crossray.evaluation.significance.compare import PER_QUERY, REFERENCE_PER_QUERY
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.features import Features
from crossray.stages.pretrain import Pretrain
from photos import photo_pairs

SIDE = 4  # what HIER's regions and CMFG's nodes need of a map
SHORT = {"image_to_text": "i2t", "text_to_image": "t2i", "image_to_image": "i2i"}


class Measure(NamedTuple):
    """How the paper of a system judges it; `codes`: bits, where codes are ranked."""

    recipe: str
    protocol: str
    metric: str
    codes: int | None = None


SYSTEMS = {
    "hier": Measure("hier_pretrained_tiny", "flickr", "R@10"),
    "cmfg": Measure("cmfg_pretrained_tiny", "cmfg", "R@10"),
    "mmdl": Measure("mmdl_pretrained_tiny", "mmdl", "mAP@10[found]"),
    "gpldan": Measure("gpldan_pretrained_tiny", "gpldan_labels", "mAP@50[found]"),
    "mmach": Measure("mmach_pretrained_tiny", "mmach", "mAP@all", codes=64),
}
System = Literal["hier", "cmfg", "mmdl", "gpldan", "mmach"]


@dataclass(frozen=True)
class Benchmark:
    """Train and measure the systems."""

    data: Annotated[Path, tyro.conf.arg(help="folder with data.csv and images/")]
    systems: tuple[System, ...] = ("hier", "cmfg", "mmdl", "gpldan", "mmach")
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 2
    store: Annotated[Path | None, tyro.conf.arg(help="where artifacts stay and are reused")] = None

    def run(self) -> None:
        """Ingest, cache features, train and evaluate every system and seed, print."""
        with tempfile.TemporaryDirectory() as scratch:
            store = (self.store or Path(scratch)).absolute()
            pairs = photo_pairs(self.data, store / "pairs")
            features = store / "features"
            if not features.exists():
                recipe = get_recipe(SYSTEMS["hier"].recipe)
                Features.of(recipe, pairs.uri, str(features), side=SIDE, actors=self.workers).run()
            found = {
                system: _summary(
                    [self._report(system, seed, pairs, store) for seed in self.seeds],
                    SYSTEMS[system].metric,
                )
                for system in self.systems
            }
            _print(found)

    def _report(self, system: str, seed: int, pairs: Artifact, store: Path) -> Artifact:
        measure, features = SYSTEMS[system], str(store / "features")
        teacher, report = store / f"{system}-{seed}", store / f"report-{system}-{seed}"
        if report.exists():
            return open_artifact(str(report))
        if not teacher.exists():
            recipe = get_recipe(measure.recipe)
            train = replace(recipe.train, seed=seed, workers=self.workers)
            Pretrain(pairs.uri, str(teacher), replace(recipe, train=train), features=features).run()
        return Evaluate(
            str(teacher), None, str(report), features=features, protocol=measure.protocol,
            codes=measure.codes,
        ).run()  # fmt: skip


def _summary(reports: list[Artifact], metric: str) -> dict[str, float]:
    """Figures of one system, CCA's and the p-value, by direction."""
    result: dict[str, float] = {}
    p_values = []
    for direction, short in SHORT.items():
        if direction not in reports[0].manifest.metrics:
            continue
        own, others, groups = [], [], []
        for report in reports:
            rows, reference = (
                pq.read_table(report.local() / f"{name}-{direction}.parquet")
                for name in (PER_QUERY, REFERENCE_PER_QUERY)
            )
            own.append(rows[metric].to_numpy())
            others.append(reference[metric].to_numpy())
            groups.append(np.asarray(rows["query_id"].to_pylist()))
        pooled = paired_bootstrap(
            *map(np.concatenate, (own, others)), groups=np.concatenate(groups)
        )
        result[short] = fmean(float(np.nanmean(values)) for values in own)
        result[f"cca_{short}"] = fmean(float(np.nanmean(values)) for values in others)
        p_values.append(pooled.p_value)
    return {name: round(value, 4) for name, value in result.items()} | {"p_vs_cca": max(p_values)}


def _print(found: dict[str, dict[str, float]]) -> None:
    table = Table(title="Flickr8k, test split, frozen features, mean over the seeds")
    for column in ("system", "measure", "direction", "system's", "CCA's", "p"):
        table.add_column(column)
    for system, values in found.items():
        for short in SHORT.values():
            if short in values:
                table.add_row(
                    system, f"{SYSTEMS[system].protocol}: {SYSTEMS[system].metric}", short,
                    f"{values[short]:.4f}", f"{values[f'cca_{short}']:.4f}",
                    f"{values['p_vs_cca']:.4f}",
                )  # fmt: skip
    Console(width=100).print(table)
    print(json.dumps(found))


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
