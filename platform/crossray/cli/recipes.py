"""The verbs about recipes: what one needs, and a recipe as a file to read, change and run."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg, subcommand

from crossray.cli.running import say
from crossray.core.artifacts import open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve


@dataclass(frozen=True)
class PlanRecipe:
    """Say what a recipe needs before it runs: memory by ZeRO stage, hours, cost, and its endpoint.

    A few items are run on this machine's CPU and scaled up; a student is planned without its
    teacher.

    Attributes:
        recipe: a recipe of teachers or students.
        nodes: machines of the GPU's kind; recipes that train on CPUs run on one.
        gpu: kind of the GPUs, as many a node as is usual for it.
        items: paired items of the training split.
        utilisation: share of the GPU's peak that training reaches.
        price: of a node for an hour; without it no cost is given.
        serve_items: items that the endpoint's index holds, an image and a text each.
        kind: of that index.
        replica_memory: what one replica's shards may take.
        queries: a second that the endpoint must answer; needs --rate.
        rate: queries a second that one replica answers, from benchmarks/serving.py.
    """

    recipe: Annotated[Positional[str], arg(metavar="RECIPE")]
    nodes: int = 1
    gpu: Literal["a100-40g", "a100-80g", "h100-80g", "t4"] = "a100-80g"
    items: int = 100_000
    utilisation: float = 0.35
    price: float | None = None
    serve_items: int = 1_000_000
    kind: Literal["flat", "ivf", "hnsw"] = "hnsw"
    replica_memory: str = "12GiB"
    queries: float | None = None
    rate: float | None = None

    def run(self) -> None:
        """Print the tables."""
        from crossray.planning import RunPlan
        from crossray.recipes import RECIPES, STUDENTS, get_recipe

        recipe = get_recipe(self.recipe, {**RECIPES, **STUDENTS})
        RunPlan(
            recipe, self.nodes, self.gpu, self.items, self.utilisation, self.price,
            self.serve_items, self.kind, self.replica_memory, self.queries, self.rate,
        ).run()  # fmt: skip


@dataclass(frozen=True)
class FromSweep:
    """The recipe of a trial of a sweep.

    Attributes:
        sweep: the sweep artifact: a name in the store, an absolute path, ./path or a URI.
        pick: the best trial, the knee of the front, or a finished trial by its name.
    """

    sweep: Annotated[Positional[str], arg(metavar="SWEEP")]
    pick: str = "best"

    def content(self) -> dict[str, Any]:
        """What the file says."""
        from crossray.studies.sweep.recipes import recipe_of

        return recipe_of(open_artifact(resolve(self.sweep, Path.cwd()), "sweep"), self.pick)


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe that CrossRay brings.

    Attributes:
        recipe: a recipe of teachers or students.
    """

    recipe: Annotated[Positional[str], arg(metavar="RECIPE")]

    def content(self) -> dict[str, Any]:
        """What the file says."""
        from crossray.recipes import RECIPES, STUDENTS, get_recipe
        from crossray.stages.recipe_files import recipe_to_dict

        return recipe_to_dict(get_recipe(self.recipe, {**RECIPES, **STUDENTS}))


@dataclass(frozen=True)
class WriteRecipe:
    """Write a recipe as a file that jobs take as `--recipe FILE.json`.

    Attributes:
        source: which one.
        out: the file; without it the recipe is printed.
    """

    source: Annotated[
        Annotated[FromSweep, subcommand("from-sweep")]
        | Annotated[NamedRecipe, subcommand("named")],
        arg(name=""),
    ]
    out: Path | None = None

    def run(self) -> None:
        """Write the file, or print the recipe."""
        text = json.dumps(self.source.content(), indent=2) + "\n"
        if self.out is None:
            sys.stdout.write(text)
            return
        if self.out.exists():
            raise CrossRayError(f"the file {self.out} exists; choose another, or remove it.")
        self.out.write_text(text, encoding="utf-8")
        say(f"give it to a job with --recipe {self.out}")
