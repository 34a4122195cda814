"""A sweep of 24 GPLDAN trials on photos' features: ASHA against the full grid.

    python benchmarks/sweep.py --data DIR [--epochs 9] [--workers 1] [--store DIR]

DIR as in benchmarks/flickr8k.py. Both sweeps try alpha x beta of the paper's grid; one
trains every trial to its end. Prints a table and, last, one JSON object: `best_vs_grid`, the best
validation mAP@50[found] of ASHA over the grid's, `epochs_share`, its epochs over the grid's, and
`seconds` of both.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from crossray.cli.jobs import search_job
from crossray.recipes import get_recipe
from crossray.stages.features import Features
from photos import photo_pairs

SPACE = """
from crossray.methods.gpldan.ablation import ALPHAS, BETAS
from crossray.methods.gpldan.recipes import gpldan_pretrained_tiny
from crossray.studies.sweep import Space

SPACE = Space(
    gpldan_pretrained_tiny,
    {"method.alpha": list(ALPHAS), "method.beta": list(BETAS)},
    metric="mAP@50[found]",
    protocol="gpldan_labels",
)
"""


@dataclass(frozen=True)
class Benchmark:
    """Run both sweeps."""

    data: Annotated[Path, tyro.conf.arg(help="folder with data.csv and images/")]
    epochs: int = 9
    workers: int = 1
    store: Annotated[Path | None, tyro.conf.arg(help="where artifacts stay and are reused")] = None

    def run(self) -> None:
        """Ingest, cache features, sweep twice, print."""
        with tempfile.TemporaryDirectory() as scratch:
            store = (self.store or Path(scratch)).absolute()
            pairs, features = photo_pairs(self.data, store / "pairs"), store / "features"
            if not features.exists():
                recipe = get_recipe("gpldan_pretrained_tiny")
                Features.of(recipe, pairs.uri, str(features), side=1, actors=2).run()
            space = Path(scratch) / "space.py"
            space.write_text(SPACE, encoding="utf-8")
            found = {
                scheduler: self._sweep(scheduler, space, pairs.uri, features, store)
                for scheduler in ("asha", "none")
            }
        self._print(found)

    def _sweep(
        self, scheduler: str, space: Path, pairs: str, features: Path, store: Path
    ) -> dict[str, Any]:
        out = store / f"sweep-{scheduler}"
        if not out.exists():
            data = ["--pairs", pairs, "--features", str(features), "--out", str(out)]
            train = ["--train.epochs", str(self.epochs), "--train.workers", str(self.workers)]
            how = ["--search", "grid", "--scheduler", scheduler]
            search_job(["--space", str(space), *data, *how, *train])
        report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        best = max(t["quality"] for t in report["trials"] if t["state"] == "finished")
        states = [trial["state"] for trial in report["trials"]]
        return {
            "best": best,
            "epochs": report["epochs"],
            "seconds": manifest["metrics"]["seconds"],
            "finished": states.count("finished"),
        }

    def _print(self, found: dict[str, dict[str, Any]]) -> None:
        table = Table(title="24 trials of GPLDAN, validation mAP@50[found]")
        for column in ("scheduler", "best", "epochs", "trials finished", "seconds"):
            table.add_column(column)
        for name, row in found.items():
            cells = (f"{row['best']:.4f}", row["epochs"], row["finished"], row["seconds"])
            table.add_row(name, *map(str, cells))
        Console(width=100).print(table)
        asha, grid = found["asha"], found["none"]
        print(
            json.dumps(
                {
                    "best_vs_grid": round(asha["best"] / grid["best"], 4),
                    "epochs_share": round(asha["epochs"] / grid["epochs"], 4),
                    "seconds": {name: row["seconds"] for name, row in found.items()},
                }
            )
        )


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
