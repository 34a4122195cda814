"""The endpoint answers what it should, in this process and without Ray."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

import numpy as np
import pytest
from starlette.testclient import TestClient

from crossray.distill.encoder import ModelEncoder
from crossray.serving.schema import ItemAnswer, SearchAnswer
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


def test_an_item_finds_what_its_stored_vector_finds(client: TestClient, world: World) -> None:
    """A search for more like an item would start from another one."""
    for item_id, modality, target in ((ODD_ID, "image", "text"), ("item-006", "text", "image")):
        side = world.side(modality)
        row = side.keys.index((item_id, 0))
        for mode in MODES:
            answer = client.post("/v1/search", json={"item_id": item_id, "k": 7, "mode": mode})
            vector_D = side.vectors_ND[row].astype(np.float32)
            expected = world.expected(target, vector_D, side.codes_NY[row], 7, mode)
            assert told(answer.json()) == expected


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
