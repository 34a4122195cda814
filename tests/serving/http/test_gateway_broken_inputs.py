"""Whatever a client sends, it gets a problem document: no traceback, no wrong answer, no crash."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from crossray.serving.http.auth import BROWSER_PATHS
from crossray.serving.problem import ProblemDocument
from crossray.serving.searching import Searcher
from support.endpoint import BITS, DIM
from support.images import encoded_image, png

VECTOR = [0.5] * DIM


def refused(answer: Any, status: int) -> str:
    """Check a problem document; gives its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = ProblemDocument.model_validate(answer.json(), strict=True)
    assert document.status == status
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    return document.detail


def in_base64(data: bytes) -> str:
    """As an image travels in JSON."""
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text": "a", "k": 0}, "'k'"),
        ({"text": "a", "k": 10**9}, "'k'"),
        ({"text": "a", "k": 10**400}, "'k'"),
        ({"text": "a", "k": "5"}, "'k'"),
        ({"text": "a", "k": 1.5}, "'k'"),
        ({"text": "a", "k": True}, "'k'"),
        ({"text": "a", "target": "video"}, "'target'"),
        ({"text": "a", "mode": "magic"}, "'mode'"),
        ({"text": "a", "unknown": 1}, "'unknown'"),
        ({"text": "a", "image": in_base64(encoded_image(0))}, "text and image were given"),
        ({}, "none was given"),
        ({"k": 3}, "none was given"),
        ([], "cannot be taken"),
        ("text", "cannot be taken"),
        ({"text": ""}, "no word"),
        ({"text": " \n\t"}, "no word"),
        ({"text": "a" * 201}, "200 are allowed"),
        ({"text": ["a"]}, "'text'"),
        ({"vector": []}, f"0 dimensions and the index {DIM}"),
        ({"vector": VECTOR[1:]}, f"{DIM - 1} dimensions and the index {DIM}"),
        ({"vector": VECTOR * 100}, f"{100 * DIM} dimensions and the index {DIM}"),
        ({"vector": [0.0] * 70_000}, "'vector'"),
        ({"vector": [10.0**300] * DIM}, "too large"),
        ({"vector": [10.0**30] * DIM}, "too large"),
        ({"vector": ["0.5"] * DIM}, "'vector.0'"),
        ({"vector": VECTOR, "mode": "binary"}, "give the vector's code"),
        ({"vector": VECTOR, "mode": "rescore"}, "give the vector's code"),
        ({"vector": VECTOR, "code": "00", "mode": "binary"}, f"not {BITS} bits"),
        ({"vector": VECTOR, "code": "z" * (BITS // 4), "mode": "binary"}, f"not {BITS} bits"),
        ({"text": "a", "code": "000000"}, "a code belongs to a vector"),
        ({"image": "%%%"}, "'image'"),
        ({"image": "data:image/png," + in_base64(encoded_image(0))}, "in base64"),
        ({"image": "data:image/png;base64"}, "cannot be read"),
        ({"image": "data:image/png;base64,%%%"}, "'image'"),
        ({"text": "a", "include_self": True}, "belongs to an item_id"),
        ({"image": ""}, "cannot be read"),
        ({"image": in_base64(b"no image")}, "cannot be read"),
        ({"image": in_base64(encoded_image(0)[:-200])}, "cannot be read"),
        ({"image": in_base64(png(30_000, 30_000))}, "pixels"),
        ({"image": in_base64(png(2_000, 2_000))}, "pixels"),
    ],
)
def test_requests_that_cannot_be_answered(client: TestClient, body: Any, words: str) -> None:
    """A mistake would be answered with a crash or with hits for something else."""
    assert words in refused(client.post("/v1/search", json=body), 422)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite(client: TestClient, number: str) -> None:
    """NaN would compare as it likes and put hits in any order."""
    body = json.dumps({"vector": VECTOR}).replace("0.5", number, 1)
    headers = {"content-type": "application/json"}
    assert "finite" in refused(client.post("/v1/search", content=body, headers=headers), 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"text": "a"',
        b"\xff\xfe\x00",
        b'{"text": "\\ud800"}',
        b'{"text": ' + b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)
def test_bodies_that_are_not_json(client: TestClient, body: bytes) -> None:
    """Half a body, or brackets without end, would take the replica down."""
    headers = {"content-type": "application/json"}
    assert "JSON" in refused(client.post("/v1/search", content=body, headers=headers), 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_other_content_types(client: TestClient, kind: str) -> None:
    """A form of a foreign page would be taken for a search."""
    answer = client.post("/v1/search", content=b"text=a", headers={"content-type": kind})
    assert kind in refused(answer, 415)


def test_broken_forms(client: TestClient) -> None:
    """A form that is cut off, or has two images, would be half understood."""
    image = ("x.jpg", encoded_image(0))
    cut = {"content-type": "multipart/form-data; boundary=x"}
    refused(client.post("/v1/search", content=b"--x\r\nbroken", headers=cut), 422)
    refused(client.post("/v1/search", content=b"broken", headers=cut), 400)
    refused(client.post("/v1/search", content=b"", headers={**cut, "content-type": FORM}), 400)
    twice = [("image", image), ("image", image)]
    refused(client.post("/v1/search", files=twice), 400)
    unknown = client.post("/v1/search", files={"image": image}, data={"path": "/etc/passwd"})
    assert "'path'" in refused(unknown, 422)
    assert "'text'" in refused(client.post("/v1/search", files={"text": image}), 422)
    assert "'k'" in refused(client.post("/v1/search", files={"image": image}, data={"k": "0"}), 422)
    both = client.post("/v1/search", files={"image": image}, data={"text": "a"})
    assert "text and image were given" in refused(both, 422)
    charset = {"content-type": "multipart/form-data; boundary=x; charset=zlib"}
    body = b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n--x--\r\n'
    refused(client.post("/v1/search", content=body, headers=charset), 422)


FORM = "multipart/form-data"


def test_a_body_that_says_it_is_too_large(client: TestClient) -> None:
    """50 MB would be read before they are refused."""
    answer = client.post("/v1/search", content=b"x" * (50 << 20))
    assert "limit" in refused(answer, 413)


def test_a_body_that_does_not_say_how_large_it_is(client: TestClient) -> None:
    """A body in chunks would fill the memory."""
    given = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given
        for _ in range(50):
            given += 1
            yield b"x" * (1 << 20)

    headers = {"content-type": "application/json"}
    answer = client.post("/v1/search", content=chunks(), headers=headers)
    assert "limit" in refused(answer, 413)


async def _stream(app: Any, token: str) -> tuple[int, int]:
    """Send chunks without end; gives the status and the number of chunks that were taken."""
    taken, status = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * (1 << 18), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-length", b"7")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/search", "raw_path": b"/v1/search",
        "query_string": b"", "headers": headers, "http_version": "1.1", "scheme": "http",
        "server": ("test", 80), "client": ("test", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return status, taken


def test_a_body_without_end_is_not_read_to_its_end(
    connect: Callable[..., TestClient], token: str
) -> None:
    """A client that lies about the length of its body would fill the memory."""
    status, taken = asyncio.run(_stream(connect().app, token))
    assert status == 413
    assert taken <= 6
    status, taken = asyncio.run(_stream(connect().app, "another"))
    assert (status, taken) == (401, 0)


@pytest.mark.parametrize("token", [None, "", "wrong", "a-token-of-the-test", "é"])
@pytest.mark.parametrize(
    "path", ["/v1/search", "/v1/items/item-001", "/v1/items/item-001/image", "/docs", "/nothing"]
)
def test_without_the_token(
    connect: Callable[..., TestClient], token: str | None, path: str
) -> None:
    """Anyone on the network could read patients' images."""
    stranger = connect(None)
    headers = {} if token is None else {b"authorization": b"Bearer " + token.encode()}
    answer = stranger.request("POST" if path == "/v1/search" else "GET", path, headers=headers)
    refused(answer, 401)
    assert "Bearer" in answer.headers["www-authenticate"]


def test_the_token_as_a_password_opens_the_description_only(
    connect: Callable[..., TestClient], token: str
) -> None:
    """The description could not be read in a browser, or passwords would open more than it."""
    stranger = connect(None)
    for path in BROWSER_PATHS:
        challenge = stranger.get(path).headers["www-authenticate"]
        assert challenge.startswith('Basic realm="crossray: the token is the password", Bearer ')
        assert stranger.get(path, auth=("anyone", token)).status_code == 200
        refused(stranger.get(path, auth=("anyone", "wrong")), 401)
        refused(stranger.get(path, headers={"authorization": "Basic %%%"}), 401)
    elsewhere = stranger.get("/v1/items/item-001", auth=("anyone", token))
    refused(elsewhere, 401)
    assert "Basic" not in elsewhere.headers["www-authenticate"]


@pytest.mark.parametrize(
    "item",
    [
        "unknown", "..%2F..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "....//....//etc/passwd",
        "%00", "item-001%00", "item-001%2F..%2Fitem-002", "a" * 5000, "%ff%fe",
    ],
)  # fmt: skip
def test_items_that_are_not_there(client: TestClient, item: str) -> None:
    """An id would be taken for a path, or an unknown one for a fault of the server."""
    refused(client.get(f"/v1/items/{item}"), 404)
    refused(client.get(f"/v1/items/{item}/image"), 404)
    refused(client.post("/v1/search", json={"item_id": item}), 404)


def test_an_item_without_image(client: TestClient) -> None:
    """A missing image would be a fault of the server."""
    refused(client.get("/v1/items/item-006/image"), 404)


def test_unknown_routes_and_methods(client: TestClient) -> None:
    """A typing error in an address would be answered with another kind of error."""
    refused(client.get("/v2/search"), 404)
    answer = client.get("/v1/search")
    refused(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_fault_of_the_server(
    client: TestClient, searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback, with paths and code, would be shown to whoever asks."""

    async def broken(*arguments: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(searcher.backend, "search", broken)
    answer = client.post("/v1/search", json={"vector": VECTOR})
    refused(answer, 500)
    assert "secret" not in answer.text


def test_more_requests_than_can_be_worked_on(
    connect: Callable[..., TestClient], searcher: Searcher, token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Under too much load every request would wait until all time out."""
    import httpx2

    search, ongoing, most = searcher.backend.search, 0, 0
    refused_all = asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        nonlocal ongoing, most
        ongoing, most = ongoing + 1, max(most, ongoing + 1)
        await refused_all.wait()
        ongoing -= 1
        return await search(*arguments)

    async def storm() -> list[Any]:
        transport = httpx2.ASGITransport(connect().app)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://test", headers=headers
        ) as storming:
            body = {"vector": VECTOR, "target": "text"}
            waiting = {
                asyncio.create_task(storming.post("/v1/search", json=body)) for _ in range(100)
            }
            answers = []
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED
                )
                assert done, f"{len(waiting)} requests neither wait for the search nor are refused"
                answers += [task.result() for task in done]
                if len(answers) == 100 - 64:
                    refused_all.set()
            return answers

    monkeypatch.setattr(searcher.backend, "search", slow)
    answers = asyncio.run(storm())
    assert most == 64
    refusals = [answer for answer in answers if answer.status_code != 200]
    assert len(refusals) == 100 - 64
    for answer in refusals:
        refused(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
