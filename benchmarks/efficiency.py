"""What a query costs a student and its teacher, on the same cores (HIER, section 5.4).

    python benchmarks/efficiency.py --teacher TEACHER --student STUDENT --pairs PAIRS [--threads 2]

Each model runs in a separate process. It encodes one decoded image or text; and it answers one,
which is to encode it and to score it against `--candidates` items that were encoded before, without
the second ranking of the best that HIER's level 2 may add. Ten calls warm up, then `--runs` are
timed. Prints a table and, last, one JSON object: parameters, milliseconds (median and 95th
percentile), items a second in batches, peak memory, and the teacher's figures divided by the
student's.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from crossray.core.artifacts import open_artifact
from crossray.core.store import resolve
from crossray.core.types import Representation
from crossray.data.corpora.corpus import PairCorpus
from crossray.data.split import Split
from crossray.methods.contract import Encoder
from crossray.models.artifact import load_model
from crossray.models.corpora import pair_corpus

WARM_UP = 10
BATCH, BATCHES = 32, 10
MODELS = ("teacher", "student")


@dataclass(frozen=True)
class Cost:
    """Figures of one model; times are (median, 95th percentile) in milliseconds."""

    parameters: int
    image_ms: tuple[float, float]
    text_ms: tuple[float, float]
    image_query_ms: tuple[float, float]
    text_query_ms: tuple[float, float]
    images_per_second: float
    texts_per_second: float
    peak_mib: float


@dataclass(frozen=True)
class Benchmark:
    """Measure both models.

    Attributes:
        teacher: the teacher artifact: a name in the store, an absolute path or a URI.
        student: the student artifact.
        pairs: where images and texts are taken from.
        split: of the pairs.
        candidates: images or texts that a query is scored against.
        runs: timed calls.
        threads: of the arithmetic.
    """

    teacher: str
    student: str
    pairs: str
    split: Split = "test"
    candidates: int = 500
    runs: int = 100
    threads: int = 2

    def run(self) -> None:
        """Measure one after the other and print."""
        found: dict[str, Cost] = {}
        for model in MODELS:
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                found[model] = alone.apply(self.cost, (model,))
        teacher, student = (asdict(found[model]) for model in MODELS)
        ratio = {name: _first(teacher[name]) / _first(student[name]) for name in teacher}
        table = Table(title=f"{self.threads} threads, {self.candidates} candidates")
        for column in ("", *MODELS, "teacher / student"):
            table.add_column(column, justify="right" if column else "left")
        for name in teacher:
            shown = (_shown(teacher[name]), _shown(student[name]), f"{ratio[name]:.2f}")
            table.add_row(name.replace("_", " "), *shown)
        Console(width=110).print(table)
        print(json.dumps({"teacher": teacher, "student": student, "teacher_over_student": ratio}))

    def cost(self, name: str) -> Cost:
        """What the model named costs in this process."""
        torch.set_num_threads(self.threads)
        artifact = open_artifact(resolve(getattr(self, name)), name)
        model = load_model(artifact)
        method = model.method
        pairs = open_artifact(resolve(self.pairs), "pairs")
        corpus = pair_corpus(method.config, pairs, self.split, model.tokenizer)
        with torch.inference_mode():
            return self._measure(method, corpus)

    def _measure(self, method: Encoder, corpus: PairCorpus) -> Cost:
        candidates = range(min(self.candidates, len(corpus)))
        asked = [number % len(corpus) for number in range(BATCH)]
        pixels = [corpus.image(row) for row in asked]
        words = [corpus.text(row, 0) for row in asked]

        def image(some: list[Any]) -> Representation:
            return method.represent_image(corpus.collate_images(some))

        def text(some: list[Any]) -> Representation:
            return method.represent_text(corpus.collate_texts(some))

        parts = [image([corpus.image(row)]) for row in candidates]
        all_images = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        all_texts = text([corpus.text(row, 0) for row in candidates])
        return Cost(
            sum(parameter.numel() for parameter in method.parameters()),
            self._timed(lambda n: image([pixels[n]])),
            self._timed(lambda n: text([words[n]])),
            self._timed(lambda n: method.score(image([pixels[n]]), all_texts)),
            self._timed(lambda n: method.score(all_images, text([words[n]]))),
            BATCH * 1000 / self._timed(lambda _: image(pixels), BATCHES)[0],
            BATCH * 1000 / self._timed(lambda _: text(words), BATCHES)[0],
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )

    def _timed(self, call: Callable[[int], object], runs: int | None = None) -> tuple[float, float]:
        """Median and 95th percentile of calls with the numbers of the first items."""
        seconds = []
        for number in range(WARM_UP + (runs or self.runs)):
            began = time.perf_counter()
            call(number % BATCH)
            seconds.append(time.perf_counter() - began)
        median, tail = np.percentile(seconds[WARM_UP:], [50, 95]) * 1000
        return float(median), float(tail)


def _first(value: float | tuple[float, float]) -> float:
    """The value, or the median of a pair."""
    return value[0] if isinstance(value, tuple) else value


def _shown(value: float | tuple[float, float]) -> str:
    if isinstance(value, tuple):
        return f"{value[0]:.1f} (p95 {value[1]:.1f})"
    return f"{value:,.0f}"


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
