"""What does the endpoint add to the time of its parts?

    python benchmarks/serving.py [--index INDEX] [--rows 200000] [--dim 256] [--seconds 5]

Text queries and raw-vector queries through the endpoint (`fused`, HAProxy on, a private Ray),
compared with the encoder alone, the search alone and an empty Serve application, all in one run,
one after the other. Without `--index`, clustered random vectors and an untrained student of six
layers of width 384 are served: what they find means nothing, what they cost does. Prints a table
and, last, one JSON object: p50 and p95 in milliseconds and requests a second by name and number of
connections.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import torch
import tyro
from ray import serve
from rich.console import Console
from rich.table import Table
from starlette.responses import Response

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.store import resolve
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter
from crossray.data.tokenization import Tokenizer, train_wordpiece
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.index import Mode, load_shards, search
from crossray.index.kinds import IndexKind
from crossray.methods.student.model import StudentConfig
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.models.encoder import ModelEncoder
from crossray.serving.access_token import provide_token
from crossray.serving.config import Replicas, ServingConfig, Topology
from crossray.serving.haproxy import environment
from crossray.serving.launch import HOST, deploy, start_serve
from crossray.serving.lineage import Lineage, open_lineage
from crossray.stages.index import BuildIndex

WORDS = (
    "a", "dog", "jumps", "over", "the", "hurdle", "while", "two", "people", "watch", "from",
    "green", "grass", "near", "water",
)  # fmt: skip
BLOCK = 8192
CLUSTERS = 2000
SHAPE = BertShape(layers=6, width=384, heads=12, ffn_width=1536, dropout=0.0)
Ask = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Timing:
    """What one way of asking costs."""

    p50_ms: float
    p95_ms: float
    per_second: float


@dataclass(frozen=True)
class Benchmark:
    """Measure everything.

    Attributes:
        index: to serve; a name in the store, an absolute path or a URI.
        rows: image vectors that are made up without one.
        dim: of a vector.
        bits: of a code.
        kind: of the float index.
        modes: of the vector queries; text queries use the first.
        connections: that ask at the same time.
        seconds: for each figure.
        k: hits a query.
        replicas: of the endpoint.
    """

    index: str | None = None
    rows: int = 200_000
    dim: int = 256
    bits: int = 64
    kind: IndexKind = "flat"
    modes: tuple[Mode, ...] = ("binary", "rescore", "float")
    connections: tuple[int, ...] = (1, 16)
    seconds: float = 5.0
    k: int = 10
    replicas: int = 1

    def run(self) -> None:
        """Measure and print."""
        with tempfile.TemporaryDirectory() as scratch:
            if self.index is None:
                self.make(Path(scratch))
            lineage = open_lineage(resolve(self.index or str(Path(scratch) / "index"), Path.cwd()))
            queries = Queries.of(lineage)
            results = self._alone(lineage, queries)
            with endpoint(lineage, self.replicas) as port:
                results |= self._served(port, queries)
        self._print(results)

    def _alone(self, lineage: Lineage, queries: Queries) -> dict[str, dict[int, Timing]]:
        """The encoder and the search in this process, in threads as the endpoint has them."""
        torch.set_num_threads(1)
        encoder, shards = ModelEncoder(lineage.model), load_shards(lineage.index)
        with ThreadPoolExecutor(1) as encoding, ThreadPoolExecutor(2) as searching:

            def encode(text: str) -> Any:
                return encoder.texts([[text]])

            def find(number: int, mode: Mode) -> Any:
                vector_QD, code_QY = queries.vectors_QD[[number]], queries.codes_QY[[number]]
                return search(shards, "image", vector_QD, code_QY, self.k, mode)

            async def text(number: int) -> None:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(encoding, encode, queries.texts[number])

            def vector(mode: Mode) -> Ask:
                async def ask(number: int) -> None:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(searching, find, number, mode)

                return ask

            results = {"encoder alone": self._timings(lambda: text)}
            for mode in self.modes:
                results[f"search alone, {mode}"] = self._timings(lambda mode=mode: vector(mode))
        return results

    def _served(self, port: int, queries: Queries) -> dict[str, dict[int, Timing]]:
        first = self.modes[0]
        bodies = {"empty application": ("/empty", [b"{}"] * len(queries.texts))}
        for mode in self.modes:
            bodies[f"vector, {mode}"] = ("/v1/search", queries.vector_bodies(self.k, mode))
        bodies[f"text, {first}"] = ("/v1/search", queries.text_bodies(self.k, first))
        return {
            name: self._timings(lambda path=path, sent=sent: Client(port, path, sent).ask)
            for name, (path, sent) in bodies.items()
        }

    def _timings(self, client: Callable[[], Ask]) -> dict[int, Timing]:
        return {
            number: asyncio.run(measure([client() for _ in range(number)], self.seconds))
            for number in self.connections
        }

    def _print(self, results: dict[str, dict[int, Timing]]) -> None:
        table = Table(title=f"{self.rows:,} x {self.dim}, {os.cpu_count()} cores")
        table.add_column("what")
        for column in ("connections", "p50 ms", "p95 ms", "requests/s"):
            table.add_column(column, justify="right")
        for name, timings in results.items():
            for connections, timing in timings.items():
                table.add_row(
                    name, str(connections), f"{timing.p50_ms:.2f}", f"{timing.p95_ms:.2f}",
                    f"{timing.per_second:,.0f}",
                )  # fmt: skip
        Console(width=100).print(table)
        figures = {
            name: {str(number): asdict(timing) for number, timing in timings.items()}
            for name, timings in results.items()
        }
        print(json.dumps({"rows": self.rows, "dim": self.dim, "results": figures}))

    def make(self, folder: Path) -> None:
        """Vectors and an index that mean nothing, in a folder."""
        rng = np.random.default_rng(0)
        pairs = made_pairs(folder, self.rows)
        student = made_student(folder, self.dim, self.bits)
        vectors = made_vectors(folder, student, pairs, self, rng)
        BuildIndex(vectors.uri, str(folder / "index"), kind=self.kind).run()


@dataclass(frozen=True)
class Queries:
    """The queries, the same in every measurement."""

    texts: list[str]
    vectors_QD: np.ndarray
    codes_QY: np.ndarray

    @classmethod
    def of(cls, lineage: Lineage, number: int = 500) -> Queries:
        """Random texts, vectors and codes that fit an index."""
        rng = np.random.default_rng(1)
        vectors_QD = rng.standard_normal((number, lineage.dim)).astype(np.float32)
        vectors_QD /= np.linalg.norm(vectors_QD, axis=1, keepdims=True)
        return cls(
            [" ".join(rng.choice(WORDS, 10)) for _ in range(number)],
            vectors_QD,
            rng.integers(0, 256, (number, lineage.bits // 8), np.uint8),
        )

    def text_bodies(self, k: int, mode: Mode) -> list[bytes]:
        """The texts as requests."""
        return [_body({"text": text, "k": k, "mode": mode}) for text in self.texts]

    def vector_bodies(self, k: int, mode: Mode) -> list[bytes]:
        """The vectors and codes as requests."""
        both = zip(self.vectors_QD.tolist(), self.codes_QY, strict=True)
        return [
            _body({"vector": v, "code": c.tobytes().hex(), "k": k, "mode": mode, "target": "image"})
            for v, c in both
        ]


class Client:
    """One kept-alive connection that costs next to nothing: it has to share the cores."""

    def __init__(self, port: int, path: str, bodies: list[bytes]) -> None:
        self._port = port
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        head += f"Authorization: Bearer {provide_token()}\r\nContent-Length: "
        self._requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, number: int) -> None:
        """Send a request and read its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        writer.write(self._requests[number])
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{head!r} {body!r}")


async def measure(asks: list[Ask], seconds: float) -> Timing:
    """Every client asks again as soon as it has its answer; the first fifth is not counted."""
    took: list[float] = []
    began = time.perf_counter()
    start, end = began + seconds / 5, began + 6 * seconds / 5

    async def one(ask: Ask, number: int) -> None:
        while (before := time.perf_counter()) < end:
            await ask(number % 500)
            number += 7
            if before >= start:
                took.append(time.perf_counter() - before)

    await asyncio.gather(*(one(ask, 31 * place) for place, ask in enumerate(asks)))
    p50, p95 = (1000 * np.percentile(took, (50, 95))).tolist()
    return Timing(round(p50, 3), round(p95, 3), round(len(took) / seconds, 1))


@serve.deployment(ray_actor_options={"num_cpus": 0.1}, max_ongoing_requests=64)
class Empty:
    """Answers nothing to everything."""

    async def __call__(self, request: Any) -> Response:
        """An empty answer."""
        return Response(b"{}")


@contextmanager
def endpoint(lineage: Lineage, replicas: int, topology: Topology = "fused") -> Iterator[int]:
    """An endpoint of the index and an empty application, on a separate Ray; gives the port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    ray.init(
        address="local", include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR, object_store_memory=100 << 20,
    )  # fmt: skip
    try:
        start_serve(port, environment())
        serve.run(Empty.bind(), name="empty", route_prefix="/empty")
        own = Replicas(min=replicas, max=replicas, cpus=0.1)
        deploy(ServingConfig(lineage.index.uri, topology, replicas=own, encoders=own, shards=own))
        time.sleep(2)  # HAProxy reloads
        yield port
    finally:
        serve.shutdown()
        ray.shutdown()


def made_pairs(folder: Path, rows: int) -> Artifact:
    """Items with a text and labels."""
    with create(str(folder / "pairs"), "pairs", {}) as draft, PairWriter(draft.path) as writer:
        for start in range(0, rows, BLOCK):
            numbers = range(start, min(rows, start + BLOCK))
            writer.write(pa.Table.from_pylist([_item(n) for n in numbers], PAIR_SCHEMA))
    return open_artifact(str(folder / "pairs"))


def _item(number: int) -> dict[str, Any]:
    return {
        "item_id": f"item-{number:07d}", "group_id": f"group-{number}", "split": "test",
        "image": None, "texts": [" ".join(WORDS[: 4 + number % 8])], "sections": [],
        "labels": [WORDS[1], WORDS[2]], "boxes": [], "meta": [],
    }  # fmt: skip


def made_student(folder: Path, dim: int, bits: int) -> Artifact:
    """An untrained student of the usual size."""
    tokenizer = Tokenizer(train_wordpiece(WORDS, 200, min_frequency=1))
    config = StudentConfig(
        image=ImageTowerConfig(name="test_byobnet", image_size=64),
        text=TextTowerConfig(shape=SHAPE, vocab_size=tokenizer.vocab_size, max_tokens=64),
        embedding=dim,
        bits=bits,
    )
    manifest = {"method": method_to_dict(config), "tokenizer": {"max_tokens": 64}}
    with create(str(folder / "student"), "student", manifest) as draft:
        save_weights(config.build().state_dict(), draft.path / WEIGHTS)
        tokenizer.save(draft.path / TOKENIZER)
    return open_artifact(str(folder / "student"))


def made_vectors(
    folder: Path, student: Artifact, pairs: Artifact, wanted: Benchmark, rng: np.random.Generator
) -> Artifact:
    """An image vector and a code for every item, in clusters."""
    config = {"dim": wanted.dim, "bits": wanted.bits}
    centres = rng.standard_normal((CLUSTERS, wanted.dim), np.float32)
    with create(str(folder / "vectors"), "vectors", config, (student, pairs)) as draft:
        for part, start in enumerate(range(0, wanted.rows, BLOCK)):
            number = min(BLOCK, wanted.rows - start)
            noise = rng.standard_normal((number, wanted.dim), np.float32)
            vectors = centres[rng.integers(CLUSTERS, size=number)] + 0.7 * noise
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            codes = rng.integers(0, 256, (number, wanted.bits // 8), np.uint8)
            table = _vector_table(start, vectors, codes)
            pq.write_table(table, draft.path / f"part-{part:05d}.parquet")
        draft.metrics["rows"] = {"image": wanted.rows, "text": 0}
    return open_artifact(str(folder / "vectors"))


def _vector_table(start: int, vectors_ND: np.ndarray, codes_NY: np.ndarray) -> pa.Table:
    number, dim = vectors_ND.shape
    halves = pa.array(vectors_ND.astype(np.float16).ravel())
    codes = [code.tobytes() for code in codes_NY]
    return pa.table(
        {
            "item_id": [f"item-{start + place:07d}" for place in range(number)],
            "modality": ["image"] * number,
            "number": pa.array(np.zeros(number, np.int32)),
            "split": ["test"] * number,
            "vector": pa.FixedSizeListArray.from_arrays(halves, dim),
            "code": pa.array(codes, pa.binary(codes_NY.shape[1])),
        }
    )


def _body(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
