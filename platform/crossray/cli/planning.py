"""`crossray plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg


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
