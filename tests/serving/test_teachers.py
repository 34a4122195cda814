"""Teachers go down the whole road: embedded, indexed, served, and asked for their whole score."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import Representation
from crossray.data.schema import text_entries
from crossray.index import Modality
from crossray.models.encoder import ModelEncoder
from crossray.serving.lineage import open_lineage
from crossray.serving.schema import SearchAnswer
from support.endpoint import DIM, ODD_ID, World, told
from support.images import encoded_image
from support.wholescores import PairByPair, stored_rows

Connect = Callable[[Artifact], TestClient]
WORDS = "dog jumps left"
RANKING_AGAIN = ("hier", "gpldan", "cmfg")


@pytest.mark.parametrize("name", ["clip", *RANKING_AGAIN])
def test_a_teacher_answers_by_its_vectors(
    teachers: dict[str, World], connect_to: Connect, name: str
) -> None:
    """Whoever has no student could not search at all."""
    world = teachers[name]
    client, encoder = connect_to(world.index(2)), ModelEncoder(world.model)
    answer = client.post("/v1/search", json={"text": WORDS, "k": 7})
    assert answer.status_code == 200, answer.text
    encoded = encoder.texts([[WORDS]])
    assert encoded.codes_BY.shape == (1, 0)
    assert told(answer.json()) == world.expected(
        "image", encoded.z_BD[0], encoded.codes_BY[0], 7, "float"
    )
    shown = SearchAnswer.model_validate(answer.json(), strict=True)
    assert (shown.model, shown.student) == (world.model.id, None)
    ready = client.get("/readyz").json()
    assert (ready["model"], ready["student"]) == (world.model.id, None)
    assert open_lineage(world.index(2).uri).model.kind == "teacher"


@pytest.mark.parametrize("mode", ["float", "binary", "rescore"])
@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_teacher_answers_by_its_codes(
    teachers: dict[str, World], connect_to: Connect, kind: str, mode: str
) -> None:
    """MMACH's codes, all that it learns, would need a student to be searched."""
    world = teachers["mmach"]
    client, encoder = connect_to(world.index(3)), ModelEncoder(world.model)
    image, asked = encoded_image(98), "image" if kind == "text" else "text"
    encoded = encoder.texts([[WORDS]]) if kind == "text" else encoder.images([image])
    body = {"text": WORDS} if kind == "text" else {"image": base64.b64encode(image).decode()}
    answer = client.post("/v1/search", json={**body, "k": 9, "mode": mode})
    assert answer.status_code == 200, answer.text
    assert told(answer.json()) == world.expected(
        asked, encoded.z_BD[0], encoded.codes_BY[0], 9, mode
    )


@pytest.mark.parametrize("mode", ["binary", "rescore"])
def test_modes_that_need_codes(teachers: dict[str, World], connect_to: Connect, mode: str) -> None:
    """A search by codes that nobody made would be a traceback, or chance."""
    client = connect_to(teachers["clip"].index(2))
    bodies: list[dict[str, Any]] = [
        {"text": WORDS}, {"item_id": ODD_ID}, {"vector": [1.0] * DIM},
        {"vector": [1.0] * DIM, "code": ""},
    ]  # fmt: skip
    for body in bodies:
        answer = client.post("/v1/search", json={**body, "mode": mode})
        assert answer.status_code == 422
        assert "holds none" in answer.json()["detail"]
    answer = client.post("/v1/search", json={"vector": [1.0] * DIM, "code": "00"})
    assert (answer.status_code, "no codes" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("name", RANKING_AGAIN)
def test_what_is_kept_of_items_is_what_the_model_sees(
    teachers: dict[str, World], name: str
) -> None:
    """Hits would be ranked by another item's regions or words, or by their padding."""
    world = teachers[name]
    model = PairByPair(world.model)
    images = [model.image(row["image"]) for row in world.rows if row["image"] is not None]
    texts = [
        model.text(text)
        for row in world.rows
        for text in text_entries(row["texts"], row["sections"])
    ]
    for expected, modality in ((images, "image"), (texts, "text")):
        found = stored_rows(world.vectors, modality)  # type: ignore[arg-type]
        assert len(found) == len(expected) > 0
        for own, seen in zip(found, expected, strict=True):
            assert own.keys() == seen.keys()
            for part, tensor in seen.items():
                kept = own[part]
                torch.testing.assert_close(kept, tensor.to(kept.dtype), atol=2e-3, rtol=2e-3)


def asked(world: World, kind: str) -> tuple[dict[str, Any], Representation, Modality]:
    """A request, its query as the model sees it, and what it finds."""
    model = PairByPair(world.model)
    if kind == "text":
        return {"text": WORDS}, model.text([WORDS]), "image"
    if kind == "image":
        image = encoded_image(98)
        return {"image": base64.b64encode(image).decode()}, model.image(image), "text"
    row = world.side("image").keys.index((ODD_ID, 0))
    request = {"item_id": ODD_ID, "include_self": True}
    return request, stored_rows(world.vectors, "image")[row], "text"


def check_order(
    hits: list[tuple[float, str, str, int]], scores: list[float], keys: list[Any]
) -> None:
    """The best by (score, row): scores as given up to rounding, in one order everywhere."""
    rows = [keys.index((item, number)) for _, _, item, number in hits]
    found = [score for score, *_ in hits]
    np.testing.assert_allclose(found, [scores[row] for row in rows], atol=1e-5)
    assert [(-s, row) for s, row in zip(found, rows, strict=True)] == sorted(
        (-s, row) for s, row in zip(found, rows, strict=True)
    )
    np.testing.assert_allclose(found, sorted(scores, reverse=True)[: len(found)], atol=1e-5)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("kind", ["text", "image", "item"])
@pytest.mark.parametrize("name", RANKING_AGAIN)
def test_ranked_again_is_scoring_every_pair(
    teachers: dict[str, World], connect_to: Connect, name: str, kind: str, shards: int
) -> None:
    """The costlier score would be of the wrong direction, of other pairs, or without refinement."""
    world = teachers[name]
    request, query, target = asked(world, kind)
    rows, keys = stored_rows(world.vectors, target), world.side(target).keys
    scores = PairByPair(world.model).scores(query, target, rows)
    client = connect_to(world.index(shards))
    whole = client.post("/v1/search", json={**request, "k": len(rows), "rerank": 1000})
    assert whole.status_code == 200, whole.text
    hits = told(whole.json())
    assert len(hits) == len(rows)
    check_order(hits, scores, keys)
    twins = [
        (a, b)
        for b in range(len(rows))
        for a in range(b)
        if all(
            rows[a][part].shape == rows[b][part].shape and torch.equal(rows[a][part], rows[b][part])
            for part in rows[a]
        )
    ]
    place = {keys.index(hit[2:]): (n, hit[0]) for n, hit in enumerate(hits)}
    assert twins, "the data set has copies"
    for a, b in twins:
        assert place[a][1] == place[b][1], "equal items tie"
        assert place[a][0] < place[b][0], "and the first of them comes first"
    first = client.post("/v1/search", json={**request, "k": len(rows)})
    assert [hit[1:] for hit in told(first.json())] != [hit[1:] for hit in hits]


def test_only_the_first_hits_are_ranked_again(
    teachers: dict[str, World], connect_to: Connect
) -> None:
    """The bound on the cost of a query would not hold, or hits would be lost."""
    world = teachers["hier"]
    request, query, target = asked(world, "text")
    client = connect_to(world.index(3))
    first = told(client.post("/v1/search", json={**request, "k": 12}).json())
    again = told(client.post("/v1/search", json={**request, "k": 5, "rerank": 12}).json())
    assert {hit[1:] for hit in again} <= {hit[1:] for hit in first}
    keys = world.side(target).keys
    own = sorted(keys.index((item, number)) for _, _, item, number in first)
    rows = stored_rows(world.vectors, target)
    scores = PairByPair(world.model).scores(query, target, [rows[row] for row in own])
    check_order(again, scores, [keys[row] for row in own])
    assert len(again) == 5
    whole = told(client.post("/v1/search", json={**request, "k": 5, "rerank": 1000}).json())
    off = told(client.post("/v1/search", json={**request, "k": 5, "rerank": 0}).json())
    assert off == first[:5]
    assert again[0][0] <= whole[0][0]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("hier", {"text": WORDS, "rerank": 10**9}, "'rerank' .* less than or equal to 1000"),
        ("hier", {"text": WORDS, "rerank": -1}, "'rerank' .* greater than or equal to 0"),
        ("hier", {"text": WORDS, "rerank": 2.5}, "'rerank' .* valid integer"),
        ("hier", {"text": WORDS, "rerank": True}, "'rerank' .* valid integer"),
        ("hier", {"text": WORDS, "rerank": 9}, "rerank=9 candidates cannot give k=10"),
        ("hier", {"text": WORDS, "rerank": 50, "target": "text"}, "the other modality"),
        ("hier", {"text": WORDS, "rerank": 50, "target": "any"}, "the other modality"),
        ("hier", {"item_id": ODD_ID, "rerank": 50, "target": "image"}, "the other modality"),
        ("hier", {"vector": [1.0] * DIM, "rerank": 50, "target": "image"}, "a text, an image or"),
        ("hier", {"text": " ", "rerank": 50}, "no word"),
        ("clip", {"text": WORDS, "rerank": 50}, "no representations"),
        ("clip", {"item_id": ODD_ID, "rerank": 50}, "no representations"),
    ],
    ids=str,
)
def test_what_cannot_be_ranked_again(
    teachers: dict[str, World], connect_to: Connect, name: str, body: dict[str, Any], words: str
) -> None:
    """An endless computation, a traceback, or an order that means something else."""
    answer = connect_to(teachers[name].index(3)).post("/v1/search", json=body)
    assert answer.status_code == 422, answer.text
    assert re.search(words, answer.json()["detail"])
    assert answer.json()["detail"].count(". ") == 0, "one sentence"


def test_a_form_ranks_again_too(teachers: dict[str, World], connect_to: Connect) -> None:
    """`crossray search --image FILE --rerank 100` would be refused."""
    client = connect_to(teachers["hier"].index(3))
    files, data = {"image": ("x.jpg", encoded_image(98))}, {"k": "4", "rerank": "20"}
    answer = client.post("/v1/search", files=files, data=data)
    request, *_ = asked(teachers["hier"], "image")
    expected = client.post("/v1/search", json={**request, "k": 4, "rerank": 20})
    assert told(answer.json()) == told(expected.json())


def test_another_method_in_the_place_of_the_teacher(
    teachers: dict[str, World], tmp_path: Path
) -> None:
    """Queries would be compared with vectors of another space."""
    world = teachers["clip"]
    moved = tmp_path / "teacher"
    shutil.move(world.model.uri, moved)
    try:
        shutil.copytree(teachers["hier"].model.uri, world.model.uri)
        with pytest.raises(CrossRayError, match="was made from the teacher"):
            open_lineage(world.index(2).uri)
        shutil.rmtree(world.model.uri)
    finally:
        shutil.move(moved, world.model.uri)
    open_lineage(world.index(2).uri)
