"""The endpoint measures its stages, its batches and what it serves."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from crossray.core.artifacts import Artifact
from crossray.serving.lineage import open_lineage
from crossray.serving.metrics import serves
from support.endpoint import World
from support.images import encoded_image
from support.metrics import Recorded

SECONDS, BATCH = "crossray_serving_stage_seconds", "crossray_serving_batch_size"
STAGES = ("read", "parse", "encode", "queue", "model", "search", "rerank", "answer")


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """What is recorded."""
    return Recorded(monkeypatch)


def stages(metrics: Recorded) -> dict[str, int]:
    """How often each stage was measured."""
    return {stage: len(metrics.of(SECONDS, stage=stage)) for stage in STAGES}


def test_a_search_is_measured_stage_by_stage(client: TestClient, metrics: Recorded) -> None:
    """A slow endpoint would not say whether it parses, encodes or searches for so long."""
    whole = dict.fromkeys(STAGES, 1) | {"rerank": 0}
    image = base64.b64encode(encoded_image(3)).decode()
    for number, query in enumerate(({"text": "dog jumps"}, {"image": image}), 1):
        assert client.post("/v1/search", json=query).status_code == 200
        assert stages(metrics) == {stage: number * times for stage, times in whole.items()}
    vector = {"item_id": "item-001", "target": "any"}
    assert client.post("/v1/search", json=vector).status_code == 200
    not_encoded = {
        "read": 3,
        "parse": 3,
        "encode": 2,
        "queue": 2,
        "model": 2,
        "search": 3,
        "answer": 3,
    }
    assert stages(metrics) == {**not_encoded, "rerank": 0}
    (encode, *_), (queue, *_), (model, *_) = (
        metrics.of(SECONDS, stage=stage) for stage in ("encode", "queue", "model")
    )
    assert 0 < queue + model <= encode


def test_a_second_ranking_is_a_stage(
    connect_to: Callable[[Artifact], TestClient], teachers: dict[str, World], metrics: Recorded
) -> None:
    """It is the costliest part of a search and would hide in the others."""
    client = connect_to(teachers["hier"].index(1))
    query = {"text": "dog jumps", "rerank": 20}
    assert client.post("/v1/search", json=query).status_code == 200
    assert stages(metrics)["rerank"] == 1


def test_a_refused_request_is_measured_as_far_as_it_came(
    client: TestClient, metrics: Recorded
) -> None:
    """Hostile bodies that take long to read would cost time that nobody sees."""
    assert client.post("/v1/search", content=b"{").status_code == 400
    assert stages(metrics) == dict.fromkeys(STAGES, 0) | {"read": 1, "parse": 1}


def test_batches_hold_every_query_once(client: TestClient, metrics: Recorded) -> None:
    """Nobody could tell whether max_batch is what limits the encoder."""
    with client, ThreadPoolExecutor(6) as pool:  # one event loop for all of them
        texts = [f"dog {number}" for number in range(12)]
        answers = pool.map(lambda text: client.post("/v1/search", json={"text": text}), texts)
        assert {answer.status_code for answer in answers} == {200}
    assert sum(metrics.of(BATCH)) == len(metrics.of(SECONDS, stage="queue")) == 12
    assert len(metrics.of(BATCH)) == len(metrics.of(SECONDS, stage="model"))


def test_what_is_served_is_named(world: World, metrics: Recorded) -> None:
    """After a swap nobody could tell which index answers."""
    index = world.index(2)
    serves(open_lineage(index.uri))
    tags = {"index": index.id[:12], "model": world.model.id[:12]}
    for modality in ("image", "text"):
        rows = len(world.side(modality).keys)
        assert metrics.of("crossray_serving_index_rows", **tags, modality=modality) == [rows]
    files = index.local().rglob("*.faiss")
    (memory,) = metrics.of("crossray_serving_index_bytes", **tags)
    assert memory > sum(file.stat().st_size for file in files) > 0


def test_refused_tokens_are_counted(connect: Callable[..., TestClient], metrics: Recorded) -> None:
    """Thousands of guesses at the token would leave no trace."""
    for token, times in ((None, 2), ("wrong", 3), ("", 1)):
        for _ in range(times):
            assert connect(token).post("/v1/search", json={"text": "dog"}).status_code == 401
    assert connect(None).get("/healthz").status_code == 200
    assert connect().get("/v1/items/item-001").status_code == 200
    assert metrics.of("crossray_serving_refused_tokens", reason="missing") == [1] * 2
    assert metrics.of("crossray_serving_refused_tokens", reason="wrong") == [1] * 4
