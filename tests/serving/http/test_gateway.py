"""The endpoint answers what it should, in this process and without Ray."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from crossray.core.errors import CrossRayError
from crossray.models.encoder import Encoded, ModelEncoder
from crossray.serving.access_token import digest
from crossray.serving.backend import Query
from crossray.serving.config import Limits, ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.http.gateway import build_gateway
from crossray.serving.lineage import open_lineage
from crossray.serving.schema import ItemAnswer, SearchAnswer
from crossray.serving.searching import Searcher
from support.endpoint import DIM, ODD_ID, World, told
from support.images import encoded_image

MODES = ("float", "binary", "rescore")
TARGETS = ("image", "text", "any")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", TARGETS)
def test_vectors_are_answered_as_by_brute_force(
    client: TestClient, world: World, target: str, mode: str
) -> None:
    """Hits would be missing, in another order, or another item's."""
    rng = np.random.default_rng()
    for stored in (False, True):
        side = world.side("text")
        row = int(rng.integers(len(side.keys)))
        vector_D = side.vectors_ND[row] if stored else rng.standard_normal(DIM).astype(np.float32)
        code_Y = side.codes_NY[row]
        k = int(rng.integers(1, 60))
        request = {
            "vector": vector_D.tolist(),
            "code": code_Y.tobytes().hex(),
            "k": k,
            "target": target,
            "mode": mode,
        }
        answer = client.post("/v1/search", json=request)
        assert answer.status_code == 200, answer.text
        vector_D = vector_D.astype(np.float32)
        assert told(answer.json()) == world.expected(target, vector_D, code_Y, k, mode)


def test_texts_and_images_are_encoded_by_the_student(client: TestClient, world: World) -> None:
    """A query would be answered for something else than what was asked."""
    encoder = ModelEncoder(world.model)
    image = encoded_image(99)
    asked = (
        ({"json": {"text": "dog jumps left"}}, encoder.texts([["dog jumps left"]]), "image"),
        ({"json": {"image": base64.b64encode(image).decode()}}, encoder.images([image]), "text"),
        ({"files": {"image": ("x.jpg", image)}}, encoder.images([image]), "text"),
    )
    for body, encoded, target in asked:
        answer = client.post("/v1/search", **body)
        assert answer.status_code == 200, answer.text
        expected = world.expected(target, encoded.z_BD[0], encoded.codes_BY[0], 10, "float")
        assert told(answer.json()) == expected


def test_fields_of_a_form(client: TestClient, world: World) -> None:
    """What the page sends with an image would be ignored."""
    files = {"image": ("x.jpg", encoded_image(5))}
    data = {"k": "3", "target": "any", "mode": "rescore"}
    answer = client.post("/v1/search", files=files, data=data)
    encoded = ModelEncoder(world.model).images([encoded_image(5)])
    expected = world.expected("any", encoded.z_BD[0], encoded.codes_BY[0], 3, "rescore")
    assert told(answer.json()) == expected


def test_an_image_in_json_is_written_in_many_ways(client: TestClient) -> None:
    """What a browser, a mail program or `base64` writes would be refused."""
    image = encoded_image(7, "PNG")
    plain = base64.b64encode(image).decode()
    wanted = told(client.post("/v1/search", files={"image": ("x.png", image)}).json())
    for written in (
        plain,
        base64.encodebytes(image).decode(),
        plain.replace("=", ""),
        base64.urlsafe_b64encode(image).decode(),
        "data:image/png;base64," + plain,
        "data:;base64," + quote(plain),
        "\r\n".join(plain[at : at + 64] for at in range(0, len(plain), 64)),
    ):
        answer = client.post("/v1/search", json={"image": written})
        assert answer.status_code == 200, answer.text
        assert told(answer.json()) == wanted


def test_the_same_image_is_too_large_however_it_is_sent(
    client: TestClient, searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image could be asked with as a form and not as JSON, or the other way round."""
    image = encoded_image(8, "PNG", 300)
    in_lines = base64.encodebytes(image).decode()
    for limit, status in ((len(image), 200), (len(image) - 1, 413)):
        limits = replace(searcher._limits, image_bytes=limit)
        monkeypatch.setattr(searcher, "_limits", limits)
        for body in ({"files": {"image": image}}, {"json": {"image": in_lines}}):
            assert client.post("/v1/search", **body).status_code == status
    whole = Limits()
    assert len(json.dumps({"image": "x" * (whole.image_bytes * 4 // 3 * 78 // 76)})) < (
        whole.body_bytes
    )


def test_an_item_finds_what_its_stored_vector_finds(client: TestClient, world: World) -> None:
    """A search for more like an item would start from another one."""
    for item_id, modality, target in ((ODD_ID, "image", "text"), ("item-006", "text", "image")):
        side = world.side(modality)
        row = side.keys.index((item_id, 0))
        for mode in MODES:
            answer = client.post("/v1/search", json={"item_id": item_id, "k": 7, "mode": mode})
            vector_D = side.vectors_ND[row].astype(np.float32)
            own = sum(item == item_id for item, _ in world.side(target).keys)
            expected = world.expected(target, vector_D, side.codes_NY[row], 7 + own, mode)
            others = [hit for hit in expected if hit[2] != item_id][:7]
            assert told(answer.json()) == others


@pytest.mark.parametrize("target", TARGETS)
def test_an_item_is_not_its_own_hit(client: TestClient, world: World, target: str) -> None:
    """The first hits would be what was asked with, in place of what is like it."""
    rows = {m: {item for item, _ in world.side(m).keys} for m in ("image", "text")}
    everything = rows["image"] | rows["text"] if target == "any" else rows[target]
    for item_id in (ODD_ID, "item-009"):
        request = {"item_id": item_id, "k": 1000, "target": target}
        for asked, wanted in (
            (request, everything - {item_id}),
            ({**request, "include_self": True}, everything),
        ):
            hits = told(client.post("/v1/search", json=asked).json())
            assert {hit[2] for hit in hits} == wanted
        few = told(client.post("/v1/search", json={**request, "k": 5}).json())
        others = told(client.post("/v1/search", json=request).json())
        assert few == others[:5]


def test_any_is_mixed(client: TestClient) -> None:
    """A search for everything would find items of one modality only."""
    for query in ({"text": "lung heart"}, {"item_id": "item-001"}, {"vector": [0.1] * DIM}):
        for k in (10, 11):
            hits = client.post("/v1/search", json={**query, "target": "any", "k": k}).json()["hits"]
            kinds = [hit["modality"] for hit in hits]
            assert kinds == (["image", "text"] * 6)[:k]
            for kind in ("image", "text"):
                scores = [hit["score"] for hit in hits if hit["modality"] == kind]
                assert scores == sorted(scores, reverse=True)


def test_a_text_of_unknown_words_finds_nothing(client: TestClient) -> None:
    """Hits would be given for words that the model has never seen."""
    answer = client.post("/v1/search", json={"text": "Ж Ω!"})
    assert answer.status_code == 200
    assert answer.json()["hits"] == []
    assert "none of the words" in answer.json()["notes"][0]
    known = client.post("/v1/search", json={"text": "Ж lung"}).json()
    assert len(known["hits"]) == 10
    assert known["notes"] == []


def test_a_text_that_is_cut(client: TestClient) -> None:
    """What stands beyond the model's length would be ignored without a word."""
    fits, cut = " ".join(["lung"] * 14), " ".join(["lung"] * 15)
    assert client.post("/v1/search", json={"text": fits}).json()["notes"] == []
    (note,) = client.post("/v1/search", json={"text": cut}).json()["notes"]
    assert "15 tokens" in note
    assert "first 14" in note


def test_the_recall_of_a_mode_is_told(
    searcher: Searcher, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode that finds a third of the nearest would be taken for one that finds them all."""
    recall = {
        "text_to_image": {"float": 1.0, "binary": 0.2, "rescore": 0.33},
        "image_to_text": {"float": 0.95, "binary": 0.9, "rescore": 0.89},
    }
    assert set(searcher.recall) == set(recall)
    monkeypatch.setattr(searcher, "recall", recall)
    app = build_gateway(searcher, searcher._limits, digest(token))
    client = TestClient(app, headers={"Authorization": f"Bearer {token}"})

    def notes(**request: str) -> list[str]:
        found: list[str] = client.post("/v1/search", json={"text": "lung", **request}).json()[
            "notes"
        ]
        return found

    assert notes() == notes(target="any") == notes(mode="binary", target="text") == []
    (note,) = notes(mode="rescore")
    assert "'rescore' finds 0.33 of the ten nearest images" in note
    assert "'float' finds 1.00" in note
    first, second = notes(mode="rescore", target="any")
    assert "0.33 of the ten nearest images" in first
    assert "0.89 of the ten nearest texts" in second
    assert client.get("/readyz").json()["recall"] == recall
    for page in ("/openapi.json", "/docs"):
        text = client.get(page).text
        assert "text to image 1.00 in the mode" in text
        assert "0.33 in the mode" in text


def test_texts_do_not_wait_for_images(searcher: Searcher, world: World) -> None:
    """One large image would keep everyone's texts and the health checks waiting."""
    encoder = QueryEncoder(open_lineage(world.index(2).uri), ServingConfig("index"), "cpu")
    release = threading.Event()
    read = encoder._reader._read

    def slow(image: bytes) -> torch.Tensor:
        assert release.wait(60)
        return read(image)

    async def ask() -> None:
        encoder._reader._read = slow  # type: ignore[method-assign]
        images = [asyncio.create_task(encoder.image(encoded_image(1), False)) for _ in range(3)]
        await asyncio.sleep(0)
        await encoder.text("lung", False)
        await encoder.alive()
        assert not any(image.done() for image in images)
        release.set()
        await asyncio.gather(*images)

    asyncio.run(asyncio.wait_for(ask(), 120))


def test_images_take_no_more_than_their_share(
    connect: Callable[..., TestClient], searcher: Searcher, token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Images that wait to be read would take every place, and texts would be refused."""
    import httpx2

    arrived, release = 0, asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        nonlocal arrived
        arrived += 1
        await release.wait()
        raise CrossRayError("broken")

    monkeypatch.setattr(searcher.backend, "encode_image", slow)
    monkeypatch.setattr(searcher, "_limits", replace(searcher._limits, images=3))

    async def storm() -> None:
        transport = httpx2.ASGITransport(connect().app)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://test", headers=headers
        ) as client:
            body = {"image": base64.b64encode(encoded_image(1)).decode()}
            first = [asyncio.create_task(client.post("/v1/search", json=body)) for _ in range(3)]
            while arrived < 3:
                await asyncio.sleep(0)
            refused = await client.post("/v1/search", json=body)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert (await client.post("/v1/search", json={"text": "lung"})).status_code == 200
            release.set()
            assert [answer.status_code for answer in await asyncio.gather(*first)] == [422] * 3
            assert (await client.post("/v1/search", json=body)).status_code == 422

    asyncio.run(asyncio.wait_for(storm(), 120))


def test_a_fault_of_the_model_fails_one_query(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the model with one query would fail the queries that share its batch."""
    encoder = QueryEncoder(open_lineage(world.index(2).uri), ServingConfig("index"), "cpu")
    texts = encoder._encoder.texts
    batches: list[int] = []

    def faulty(batch: list[list[str]], represent: bool) -> Encoded:
        batches.append(len(batch))
        if ["dog"] in batch:
            raise RuntimeError("of the model")
        return texts(batch, represent)

    async def ask() -> list[Any]:
        monkeypatch.setattr(encoder._encoder, "texts", faulty)
        asked = ["cat", "lung", "dog", "heart", " "]
        return await asyncio.gather(
            *(encoder.text(text, False) for text in asked), return_exceptions=True
        )

    found = asyncio.run(ask())
    assert max(batches) > 1
    assert [type(result) for result in found] == [Query, Query, RuntimeError, Query, CrossRayError]
    for text, query in zip(("cat", "lung", "", "heart"), found, strict=False):
        if text:
            np.testing.assert_allclose(query.vector_D, texts([[text]]).z_BD[0], atol=1e-6)


def test_what_is_told_of_a_hit(client: TestClient, world: World) -> None:
    """A card would show another item's text or labels, or a link that leads nowhere."""
    answer = client.post("/v1/search", json={"text": "lung", "target": "any", "k": 1000}).json()
    index = world.index(2)
    assert (answer["index"], answer["model"]) == (index.id, world.model.id)
    assert answer["student"] == world.model.id
    assert SearchAnswer.model_validate(answer, strict=True)
    assert len(answer["hits"]) == len(world.side("image").keys) + len(world.side("text").keys)
    for hit in answer["hits"]:
        row = world.row(hit["item_id"])
        assert hit["labels"] == row["labels"]
        assert (hit["image"] is None) == (row["image"] is None)
        if hit["modality"] == "image":
            assert hit["text"] is None
            assert client.get(hit["image"]).content == row["image"]
        else:
            texts = [" ".join(row["texts"])] if row["sections"] else row["texts"]
            assert hit["text"] == texts[hit["number"]]


def test_items(client: TestClient, world: World) -> None:
    """An item could not be looked up, above all one whose id looks like a path."""
    for row in world.rows:
        answer = client.get(f"/v1/items/{quote(row['item_id'], safe='')}")
        item = ItemAnswer.model_validate(answer.json(), strict=True)
        texts = [" ".join(row["texts"])] if row["sections"] else row["texts"]
        assert (item.item_id, item.split, item.labels) == (row["item_id"], "test", row["labels"])
        assert (item.texts, item.meta) == (texts, {"view": "frontal"})
        if item.image is None:
            assert row["image"] is None
            continue
        image = client.get(item.image)
        assert image.content == row["image"]
        kind = "image/png" if row["image"].startswith(b"\x89PNG") else "image/jpeg"
        assert image.headers["content-type"] == kind
        assert image.headers["x-content-type-options"] == "nosniff"


def test_codes_in_hexadecimal_and_base64(client: TestClient, world: World) -> None:
    """A client that writes codes the other way would get other answers."""
    side = world.side("image")
    code = side.codes_NY[3].tobytes()
    request = {"vector": side.vectors_ND[3].tolist(), "mode": "binary", "target": "image"}
    written = (code.hex(), code.hex().upper(), base64.b64encode(code).decode())
    answers = [client.post("/v1/search", json={**request, "code": c}).json() for c in written]
    assert told(answers[0]) == told(answers[1]) == told(answers[2])


def test_health_and_description(connect: Callable[..., TestClient], world: World) -> None:
    """Load balancers could not see the endpoint, or its description would lack a route."""
    stranger, client = connect(None), connect()
    assert stranger.get("/healthz").status_code == 200
    assert stranger.get("/readyz").json() == {
        "status": "ready",
        "index": world.index(2).id,
        "model": world.model.id,
        "student": world.model.id,
        "recall": world.index(2).manifest.metrics["recall@10"],
    }
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/search", "/v1/items/{item_id}", "/v1/items/{item_id}/image", "/healthz", "/readyz",
    }  # fmt: skip
    problem = described["paths"]["/v1/search"]["post"]["responses"]["422"]["content"]
    assert list(problem) == ["application/problem+json"]
    for schema in _references(described):
        assert schema in described["components"]["schemas"]
    docs = client.get("/docs").text
    assert "/v1/items/{item_id}" in docs
    assert "<script" not in docs
    assert "http://" not in docs
    assert "https://" not in docs


@pytest.mark.parametrize(
    "path",
    [
        "/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v1/items/item-001",
        "/v1/items/item-001/image", "/v1/items/unknown", "/nothing", "/v1/search",
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_head_is_get_without_the_body(
    connect: Callable[..., TestClient], path: str, known: bool
) -> None:
    """Monitors and download managers that ask with HEAD would take the endpoint for broken."""
    client = connect() if known else connect(None)
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers
    assert int(head.headers["content-length"]) == len(get.content) > 0


def test_nothing_of_a_patient_is_cached(client: TestClient) -> None:
    """The next user of a shared workstation would find films and reports in its browser."""
    for answer in (
        client.get("/v1/items/item-001"),
        client.get("/v1/items/item-001/image"),
        client.post("/v1/search", json={"text": "dog"}),
        client.get("/v1/items/unknown"),
    ):
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "kind",
    [
        "application/json ; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON",
        " application/json", "application/json;",
    ],
)  # fmt: skip
def test_content_types_with_parameters(client: TestClient, kind: str) -> None:
    """Clients that name the charset of their JSON would be refused."""
    headers = {"content-type": kind}
    answer = client.post("/v1/search", content=b'{"text": "dog"}', headers=headers)
    assert answer.status_code == 200, answer.text


def _references(value: object) -> list[str]:
    if isinstance(value, list):
        return [name for part in value for name in _references(part)]
    if not isinstance(value, dict):
        return []
    own = [str(value["$ref"]).rpartition("/")[2]] if "$ref" in value else []
    return own + [name for part in value.values() for name in _references(part)]
