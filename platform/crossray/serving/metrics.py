"""What the endpoint measures of itself, as metrics of Ray that Prometheus reads.

Ray Serve counts requests by status, and replicas; here stands what it cannot see: the stages of a
search, the batches of the encoder, and what is served. See `docs/dashboards.md`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

from ray.util.metrics import Counter, Gauge, Histogram

from crossray.serving.lineage import Lineage

# `encode` is seen by the gateway; its parts are seen by the encoder: `decode` of each image,
# `queue` of each query, `model` of each batch.
RequestStage = Literal[
    "read", "parse", "encode", "decode", "queue", "model", "search", "rerank", "answer"
]

_SECONDS = Histogram(
    "crossray_serving_stage_seconds",
    "Seconds of a stage of a search.",
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0],
    ("stage",),
)
_BATCH = Histogram(
    "crossray_serving_batch_size",
    "Queries that are encoded together.",
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0],
    (),
)
_REFUSED = Counter(
    "crossray_serving_refused_tokens", "Requests without the right token.", ("reason",)
)
_INDEX = ("index", "model")
_ROWS = Gauge("crossray_serving_index_rows", "Rows of the index.", (*_INDEX, "modality"))
_BYTES = Gauge("crossray_serving_index_bytes", "Memory that the index is given.", _INDEX)


@contextmanager
def timed(stage: RequestStage) -> Iterator[None]:
    """Measure the block, whether it succeeds or not."""
    began = perf_counter()
    try:
        yield
    finally:
        took(stage, perf_counter() - began)


def took(stage: RequestStage, seconds: float) -> None:
    """Record how long a stage took."""
    _SECONDS.observe(seconds, {"stage": stage})


def batched(queries: int) -> None:
    """Record a batch."""
    _BATCH.observe(queries)


def refused_token(reason: Literal["missing", "wrong"]) -> None:
    """Record a request that was refused for its token."""
    _REFUSED.inc(1, {"reason": reason})


def serves(lineage: Lineage) -> None:
    """Say which index this process answers from, for as long as it lives."""
    tags = {"index": lineage.index.id[:12], "model": lineage.model.id[:12]}
    metrics = lineage.index.manifest.metrics
    for modality, rows in metrics["rows"].items():
        _ROWS.set(rows, {**tags, "modality": modality})
    _BYTES.set(metrics["bytes"]["resident"], tags)
