"""Bodies are read within limits of time and memory, and cost others nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from crossray.core.errors import CrossRayError
from crossray.serving.access_token import digest
from crossray.serving.config import Limits
from crossray.serving.http.body import Bodies
from crossray.serving.http.gateway import build_gateway
from crossray.serving.problem import Problem
from crossray.serving.searching import Searcher
from support.endpoint import DIM

LIMITS = Limits(body_bytes=100, client_bytes=250, held_bytes=400, ongoing=2)
Receive = Callable[[], Awaitable[dict[str, Any]]]


def scope_of(client: str, token: str = "") -> dict[str, Any]:
    """A search of a client."""
    return {
        "type": "http", "method": "POST", "path": "/v1/search", "raw_path": b"/v1/search",
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "server": ("test", 80), "client": (client, 1),
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }  # fmt: skip


def sending(*chunks: bytes, then: Callable[[], AsyncIterator[bytes]] | None = None) -> Receive:
    """Gives these chunks as a body, and goes on with what `then` gives."""

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for number, chunk in enumerate(chunks, 1):
            more = then is not None or number < len(chunks)
            yield {"type": "http.request", "body": chunk, "more_body": more}
        if then is not None:
            async for chunk in then():
                yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.disconnect"}

    stream = messages()
    return lambda: anext(stream)


async def nothing() -> AsyncIterator[bytes]:
    """A client that stalls."""
    await asyncio.Event().wait()
    yield b""


async def drops() -> AsyncIterator[bytes]:
    """A client that sends a byte now and then."""
    while True:
        await asyncio.sleep(0.001)
        yield b"x"


async def ask(app: Any, scope: dict[str, Any], receive: Receive) -> tuple[int, dict[str, Any]]:
    """The status and the document that an application answers with."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


def test_clients_that_stall_take_no_place(searcher: Searcher, token: str) -> None:
    """A few dozen clients that send half a body would keep everybody else out."""
    app = build_gateway(searcher, Limits(ongoing=2), digest(token))
    query = json.dumps({"vector": [0.5] * DIM}).encode()

    async def run() -> tuple[int, list[str]]:
        stalled = [
            asyncio.create_task(
                ask(app, scope_of("stalls", token), sending(query[:9], then=nothing))
            )
            for _ in range(100)
        ]
        await asyncio.sleep(0)
        status, _ = await ask(app, scope_of("stalls", token), sending(query[:9], query[9:]))
        states = ["done" if task.done() else "reads" for task in stalled]
        for task in stalled:
            task.cancel()
        return status, states

    assert asyncio.run(run()) == (200, ["reads"] * 100)


@pytest.mark.parametrize("rest", [nothing, drops])
def test_a_body_that_does_not_arrive(
    searcher: Searcher, token: str, rest: Callable[[], AsyncIterator[bytes]]
) -> None:
    """A client that sends a byte a second would be waited for for days."""
    app = build_gateway(searcher, Limits(body_seconds=0.05), digest(token))
    status, document = asyncio.run(ask(app, scope_of("slow", token), sending(b"{", then=rest)))
    assert (status, document["status"]) == (408, 408)
    assert "0.05 s" in document["detail"]


def test_bytes_of_a_client_and_of_all() -> None:
    """Clients that send much at the same time would fill the memory."""

    async def run() -> None:
        bodies = Bodies(LIMITS)

        def read(client: str, size: int) -> Any:
            return bodies.read(Request(scope_of(client), sending(b"x" * size)))

        async def refused(client: str, size: int) -> int:
            with pytest.raises(Problem) as problem:
                async with read(client, size):
                    pass
            assert "Retry-After" in problem.value.headers or size > 100
            return problem.value.document.status

        async with AsyncExitStack() as held:
            for client, size in (("a", 100), ("a", 100), ("b", 100), ("a", 50)):
                assert await held.enter_async_context(read(client, size)) == b"x" * size
            assert await refused("a", 1) == 429
            assert await refused("c", 51) == 503
            assert await refused("c", 101) == 413
            async with read("c", 50):
                assert await refused("d", 1) == 503
        for client in "abcd":  # what was refused, answered or broken off is not held any more
            with pytest.raises(ZeroDivisionError):
                async with read(client, 100):
                    raise ZeroDivisionError
        async with read("a", 100), read("a", 100), read("b", 100), read("b", 100):
            pass

    asyncio.run(run())


def test_a_client_that_hangs_up() -> None:
    """What it has sent would be held for ever."""

    async def run() -> None:
        bodies = Bodies(LIMITS)

        async def gone() -> AsyncIterator[bytes]:
            for chunk in ():
                yield chunk

        for _ in range(9):
            with pytest.raises(Problem) as problem:
                async with bodies.read(Request(scope_of("a"), sending(b"x" * 90, then=gone))):
                    pass
            assert problem.value.document.status == 400

    asyncio.run(run())


def test_limits_that_do_not_fit_each_other() -> None:
    """No body could be sent at all."""
    with pytest.raises(CrossRayError, match="do not fit each other"):
        Limits(client_bytes=1)
    with pytest.raises(CrossRayError, match="do not fit each other"):
        Limits(client_bytes=2 << 30, held_bytes=1 << 30)
    with pytest.raises(CrossRayError, match="not positive"):
        Limits(body_seconds=0)


def many(what: str, number: int = 800_000) -> bytes:
    """JSON of that many small parts, below the limit of a body."""
    return {
        "unknown keys": b"{" + b",".join(b'"k%d":1' % n for n in range(number // 10)) + b"}",
        "the same key": b"{" + b",".join([b'"k":1'] * (number // 8)) + b"}",
        "keys below a field": b'{"text":{' + b",".join([b'"k":1'] * (number // 8)) + b"}}",
        "strings": b'{"vector":[' + b",".join([b'"a"'] * (number // 8)) + b"]}",
        "numbers": b'{"vector":[' + b",".join([b"1"] * (number // 2)) + b"]}",
        "lists": b'{"vector":[' + b",".join([b"[]"] * (number // 4)) + b"]}",
        "escaped quotes and keys": b'{"text":"\\\\",'
        + b",".join([b'"\\"":1'] * (number // 8))
        + b"}",
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "unknown keys", "the same key", "keys below a field", "strings", "numbers", "lists",
        "escaped quotes and keys",
    ],
)  # fmt: skip
def test_json_of_many_parts_is_not_parsed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """One request would stop all others for seconds while its 800,000 keys are told apart."""
    from crossray.serving.http import body

    class Parsed:
        @staticmethod
        def model_validate_json(*_: object, **__: object) -> None:
            raise AssertionError("this takes long")

    monkeypatch.setattr(body, "SearchRequest", Parsed)
    answer = client.post("/v1/search", content=many(what))
    assert answer.status_code == (400 if what == "lists" else 422), answer.text
    assert len(answer.json().get("errors", ())) <= 10


def test_not_every_error_is_told(client: TestClient) -> None:
    """An answer would be larger than its question."""
    unknown = client.post("/v1/search", json={f"unknown{n}": n for n in range(300)}).json()
    assert len(unknown["errors"]) == 10
    strings = client.post("/v1/search", json={"vector": ["0.5"] * 300}).json()
    assert [error["field"] for error in strings["errors"]] == ["vector.0"]


def test_what_stands_in_strings_is_not_counted(client: TestClient) -> None:
    """A text with brackets, commas or quotes would be refused as JSON of many parts."""
    for text in ("[{," * 60, '"' * 199, '\\"' * 99, "\\" * 200):
        answer = client.post("/v1/search", json={"text": f"dog {text}"[:200]})
        assert answer.status_code == 200, answer.text
    large = client.post("/v1/search", json={"text": "[,{" * 100_000})
    assert "200 are allowed" in large.json()["detail"]
