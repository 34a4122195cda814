"""`crossray plan`: memory, hours and cost of a training run, shards and replicas of an endpoint."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal, NamedTuple

from rich.console import Console
from rich.table import Table

from crossray.core.errors import CrossRayError
from crossray.data.tokenization import WORDPIECE, load_tokenizer
from crossray.encoders.image import resolve_image as resolve_image
from crossray.encoders.text import resolve_text as resolve_text
from crossray.index.floats import resident_bytes
from crossray.index.kinds import IndexKind
from crossray.index.memory import format_memory, parse_memory
from crossray.methods.config import MethodConfig
from crossray.methods.contract import TrainingSet
from crossray.methods.recipe import Recipe
from crossray.planning.step import STAGES, Size, Step, measure_step, model_states, size_of
from crossray.training.process import set_up_towers

PASSES = 3  # a backward pass computes twice what the forward pass does
WIDTH = 100


class Gpu(NamedTuple):
    """`memory`: bytes. `flops`: of dense 16-bit products, a second. `a_node`: GPUs a node."""

    memory: int
    flops: float
    a_node: int


GPUS = {
    "a100-40g": Gpu(40 << 30, 312e12, 8),  # NVIDIA A100 data sheet; p4d.24xlarge
    "a100-80g": Gpu(80 << 30, 312e12, 8),  # p4de.24xlarge
    "h100-80g": Gpu(80 << 30, 989e12, 8),  # NVIDIA H100 SXM data sheet; p5.48xlarge
    "t4": Gpu(16 << 30, 65e12, 1),  # NVIDIA T4 data sheet; g4dn.2xlarge
}


@dataclass(frozen=True)
class RunPlan:
    """Estimate what a recipe needs before it runs.

    Attributes:
        recipe: what would be trained.
        nodes: machines, with as many GPUs each as its kind has; recipes that train on CPUs have
            `train.workers` processes on one node.
        gpu: their kind.
        items: paired items of the training split.
        utilisation: share of the GPU's peak that training reaches.
        price: of a node for an hour; without it no cost is given.
        serve_items: items that the endpoint's index holds, an image and a text each.
        kind: of that index.
        replica_memory: what one replica's shards may take.
        queries: a second that the endpoint must answer.
        rate: queries a second that one replica answers, from `benchmarks/serving.py`.
    """

    recipe: Recipe
    nodes: int = 1
    gpu: Literal["a100-40g", "a100-80g", "h100-80g", "t4"] = "a100-80g"
    items: int = 100_000
    utilisation: float = 0.35
    price: float | None = None
    serve_items: int = 1_000_000
    kind: IndexKind = "hnsw"
    replica_memory: str = "12GiB"
    queries: float | None = None
    rate: float | None = None

    def run(self) -> dict[str, Any]:
        """Measure a few items on this machine's CPU, print tables, give the same as numbers."""
        self._check()
        method = fitted_method(self.recipe).build(load_weights=False).prepare(TrainingSet(0))
        set_up_towers(method, replace(self.recipe.train, compile=False))
        size, step = size_of(method), measure_step(method)
        result = {
            "parameters": size._asdict(),
            "memory": self.memory(size, step),
            "training": self.training(step),
            "serving": self.serving(),
        }
        self._print(result)
        return result

    @property
    def a_node(self) -> int:
        """Workers on a node."""
        train = self.recipe.train
        return GPUS[self.gpu].a_node if train.use_gpu else train.workers

    @property
    def micro_batch(self) -> int:
        """Items of a worker's micro-batch."""
        shares = self.nodes * self.a_node * self.recipe.deepspeed.accumulation
        return ceil(self.recipe.train.batch_size / shares)

    def memory(self, size: Size, step: Step) -> list[dict[str, Any]]:
        """A row a ZeRO stage: bytes a worker's device and a node's host memory need.

        The first node also gathers checkpoints, one part in single precision at a time.
        """
        engine, checkpoint = self.recipe.deepspeed, 4 * size.parameters
        batch = self.recipe.train.batch_size // engine.accumulation
        kept = step.kept.at(self.micro_batch, batch) // (2 if engine.bf16 else 1)
        rows = []
        for stage in STAGES:
            offload = engine.offload_optimizer and stage > 0
            states = model_states(size, stage, engine.bf16, offload, self.nodes, self.a_node)
            rows.append(
                {
                    "stage": stage,
                    "states": states.device,
                    "activations": kept,
                    "device": states.device + kept,
                    "host": states.host + checkpoint,
                    "asked": stage == engine.zero_stage,
                }
            )
        return rows

    def training(self, step: Step) -> dict[str, float]:
        """Steps, and hours and cost at the assumed utilisation."""
        train, engine = self.recipe.train, self.recipe.deepspeed
        steps = self.items // train.batch_size
        planned: dict[str, float] = {"steps_per_epoch": steps, "epochs": train.epochs}
        if train.use_gpu:
            passes = PASSES + train.recompute  # which runs the forward pass again
            flops = passes * step.flops.at(
                self.micro_batch, train.batch_size // engine.accumulation
            )
            seconds = engine.accumulation * flops / (GPUS[self.gpu].flops * self.utilisation)
            planned["hours"] = steps * train.epochs * seconds / 3600
            if self.price is not None:
                planned["cost"] = planned["hours"] * self.nodes * self.price
        return planned

    def serving(self) -> dict[str, float]:
        """Memory of the index, shards that it takes, and replicas for the queries."""
        method = self.recipe.method
        sizes = {"image": [self.serve_items], "text": [self.serve_items]}
        bits = int(getattr(method, "bits", 0))
        resident = resident_bytes(self.kind, sizes, method.embedding, bits)  # type: ignore[arg-type]
        planned: dict[str, float] = {
            "index_bytes": resident,
            "shards": ceil(resident / parse_memory(self.replica_memory)),
        }
        if self.queries is not None and self.rate is not None:
            planned["replicas"] = ceil(self.queries / self.rate)
        return planned

    def _check(self) -> None:
        self.recipe.check()
        if self.nodes < 1 or self.items < self.recipe.train.batch_size or self.serve_items < 1:
            raise CrossRayError(
                f"nodes={self.nodes}, items={self.items} and serve_items={self.serve_items} do not "
                f"make a plan; use 1 or more, and at least train.batch_size="
                f"{self.recipe.train.batch_size} items."
            )
        if not 0 < self.utilisation <= 1:
            raise CrossRayError(
                f"utilisation={self.utilisation} is no share of a GPU's peak; use 0.2 to 0.5."
            )
        if (self.queries is None) != (self.rate is None):
            raise CrossRayError(
                "--queries needs --rate, the queries a second that one replica answers, and the "
                "other way round; measure it with benchmarks/serving.py."
            )

    def _print(self, result: dict[str, Any]) -> None:
        size, training, serving = (result[k] for k in ("parameters", "training", "serving"))
        train = self.recipe.train
        where = f"{self.nodes} x {self.a_node} {self.gpu}" if train.use_gpu else "CPU"
        limit = GPUS[self.gpu].memory if train.use_gpu else None
        table = Table(
            title=f"{self.recipe.name}: {size['parameters']:,} parameters, {size['trained']:,} "
            f"trained, {self.micro_batch} items a worker on {where}"
        )
        for column in ("ZeRO", "states", "activations", "a worker", "host, a node", ""):
            table.add_column(column, justify="right")
        for row in result["memory"]:
            fits = "" if limit is None or row["device"] <= limit else "does not fit"
            asked = "the recipe's" if row["asked"] else ""
            table.add_row(
                str(row["stage"]),
                *(format_memory(row[k]) for k in ("states", "activations", "device", "host")),
                " ".join(word for word in (asked, fits) if word),
            )
        console = Console(width=WIDTH)
        console.print(table)
        line = f"{training['steps_per_epoch']:,} steps an epoch, {train.epochs} epochs at most"
        if "hours" in training:
            line += f", about {training['hours']:.1f} h at {self.utilisation:.0%} of the peak"
        if "cost" in training:
            line += f", about {training['cost']:,.0f} at the price given"
        console.print(line, highlight=False)
        line = (
            f"index of {self.serve_items:,} items, {self.kind}: "
            f"{format_memory(serving['index_bytes'])} in memory, {serving['shards']} shards of at "
            f"most {self.replica_memory}"
        )
        if "replicas" in serving:
            line += f", {serving['replicas']} replicas for {self.queries:g} queries/s"
        console.print(line, highlight=False)


def fitted_method(recipe: Recipe) -> MethodConfig:
    """The method in full, as far as that can be known without data.

    A vocabulary that is learnt from the data is taken to fill its size.
    """
    config, method = recipe.tokenizer, recipe.method
    learnt = config.source == WORDPIECE
    words = config.vocab_size if learnt else load_tokenizer(config.source).vocab_size
    text = replace(method.text, vocab_size=words, max_tokens=config.max_tokens)
    return replace(method, image=resolve_image(method.image), text=resolve_text(text))
