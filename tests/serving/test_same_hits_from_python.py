"""An index that is opened from Python answers as its endpoint does."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from starlette.testclient import TestClient

import crossray
from support.endpoint import World
from support.images import encoded_image

IMAGE = encoded_image(7)


@pytest.mark.parametrize("mode", ["float", "binary", "rescore"])
@pytest.mark.parametrize(
    "query",
    [
        {"text": "lung effusion left"},
        {"text": "lung effusion left", "target": "any"},
        {"text": "日本"},
        {"image": IMAGE},
        {"image": IMAGE, "target": "image"},
    ],
    ids=["text", "any", "unknown words", "image", "image to image"],
)
def test_hits_are_those_of_the_endpoint(
    client: TestClient, world: World, query: dict[str, Any], mode: str
) -> None:
    """A result that a notebook shows could not be found again by the endpoint's users."""
    sent = {"image": b64encode(IMAGE).decode()} if "image" in query else {}
    answer = client.post("/v1/search", json={**query, **sent, "mode": mode, "k": 7})
    assert answer.status_code == 200
    hits = crossray.open_index(world.index(2).uri).search(**query, mode=mode, k=7)
    assert [hit.model_dump(exclude={"score"}) for hit in hits] == [
        {name: value for name, value in hit.items() if name != "score"}
        for hit in answer.json()["hits"]
    ]
    assert [hit.score for hit in hits] == pytest.approx(
        [hit["score"] for hit in answer.json()["hits"]], abs=1e-5
    )


@pytest.mark.parametrize("mode", ["float", "binary"])
def test_a_vector_finds_what_its_text_finds(world: World, mode: Any) -> None:
    """Vectors that were encoded before could not be searched with."""
    index = crossray.open_index(world.index(2).uri)
    text = "heart nodule"
    vector_D, code_Y = index.model.encode_texts([text])[0], index.model.hash_texts([text])[0]
    by_text = index.search(text=text, mode=mode)
    assert index.search(vector=vector_D, code=code_Y, mode=mode, target="image") == by_text
    anything = index.search(vector=vector_D, code=code_Y, mode=mode)
    assert {hit.modality for hit in anything} == {"image", "text"}
