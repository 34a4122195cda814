"""Does the largest teacher train here, and in the memory that `crossray plan` says?

    python benchmarks/large.py [--workers 2] [--batch-size 4]

Trains `hier_large` (ViT-L/16 and BERT-base) for a pass over a few synthetic films under Ray Train,
in single precision on CPUs, with the recipe's ZeRO-3 and its optimiser's state offloaded, and
samples the proportional set size (PSS, which counts shared pages once) of all workers together.
What a worker takes before it has a model, measured by `hier_tiny` run in the same way, is taken
off. Prints a table and, last, one JSON object: `peak_gib` of all workers with everything,
`model_gib` of the large model alone, `planned_gib`, and `ratio`, planned over measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import psutil
import tyro
from rich.console import Console
from rich.table import Table

from crossray.cli import main
from crossray.methods.recipe import Recipe
from crossray.planning.plan import RunPlan
from crossray.recipes import get_recipe
from crossray.stages.pretrain import Pretrain

PERIOD_S = 0.25
GIB = 2**30


@dataclass(frozen=True)
class Benchmark:
    """Train both recipes and compare with the plan.

    Attributes:
        workers: training processes.
        batch_size: of all of them together.
        items: synthetic films.
    """

    workers: int = 2
    batch_size: int = 4
    items: int = 20

    def run(self) -> None:
        """Make the films, train the tiny and the large teacher, print."""
        with tempfile.TemporaryDirectory() as folder:
            os.environ["CROSSRAY_STORE"] = folder
            main(["ingest", "phantom", "--items", str(self.items), "--out", "films"])
            peaks = {name: self.peak(name) for name in ("hier_tiny", "hier_large")}
        plan = RunPlan(
            self.recipe("hier_large"), items=self.items
        ).run()  # takes much memory itself
        asked = next(row for row in plan["memory"] if row["asked"])
        planned = self.workers * asked["device"] + asked["host"]
        self._print(plan["parameters"]["parameters"], planned, peaks)

    def recipe(self, name: str) -> Recipe:
        """The recipe on CPUs, with the engine of the large one and these sizes."""
        engine = replace(get_recipe("hier_large").deepspeed, bf16=False, accumulation=1)
        recipe = get_recipe(name)
        train = replace(
            recipe.train, batch_size=self.batch_size, epochs=1, workers=self.workers,
            use_gpu=False, cpus_per_worker=1, loader_processes=0, select_by="last",
            validation_items=2,
        )  # fmt: skip
        return replace(recipe, deepspeed=engine, train=train)

    def peak(self, name: str) -> int:
        """Peak PSS of all training processes in bytes while a recipe trains."""
        command = [sys.executable, __file__, "train", name, str(self.workers), str(self.batch_size)]
        peak = 0
        with subprocess.Popen(command) as child:
            while child.poll() is None:
                peak = max(peak, workers_pss(psutil.Process(child.pid)))
                time.sleep(PERIOD_S)
        if child.returncode:
            sys.exit(f"{name} did not train")
        return peak

    def _print(self, parameters: int, planned: int, peaks: dict[str, int]) -> None:
        large, tiny = peaks["hier_large"], peaks["hier_tiny"]
        table = Table(title=f"{parameters:,} parameters, {self.workers} workers, ZeRO-3, offload")
        for column in ("planned", "measured, the model alone", "measured, everything"):
            table.add_column(column, justify="right")
        table.add_row(*(f"{amount / GIB:.2f} GiB" for amount in (planned, large - tiny, large)))
        Console(width=100).print(table)
        print(
            json.dumps(
                {
                    "peak_gib": round(large / GIB, 2),
                    "model_gib": round((large - tiny) / GIB, 2),
                    "planned_gib": round(planned / GIB, 2),
                    "ratio": round(planned / (large - tiny), 3),
                }
            )
        )


def workers_pss(root: psutil.Process) -> int:
    """PSS of the training processes under a process."""
    total = 0
    with suppress(psutil.Error):
        for process in root.children(recursive=True):
            with suppress(psutil.Error):
                if "RayTrainWorker" in " ".join(process.cmdline()):
                    total += process.memory_full_info().pss
    return total


def train(name: str, workers: str, batch_size: str) -> None:
    """Train a recipe on the films of the store; the process that is watched."""
    recipe = Benchmark(int(workers), int(batch_size)).recipe(name)
    Pretrain("films", name, recipe).run()


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(*sys.argv[2:])
    else:
        tyro.cli(Benchmark).run()
