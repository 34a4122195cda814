"""Guesses at the token leave a trace in the log, and do not fill it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.responses import Response

from crossray.serving.access_token import digest
from crossray.serving.http import auth


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is written to the replica's log."""
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("ray.serve")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_wrong_tokens_in_the_log(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could see that, or from where, somebody tries out tokens; or the disk would fill."""
    monkeypatch.setattr(auth, "_SILENT_SECONDS", 0.05)
    gate = auth.TokenGate(Response(b""), digest("right"))

    async def ask(client: str, token: str | None, times: int) -> None:
        transport: Any = httpx2.ASGITransport(gate, client=(client, 1))
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://test", headers=headers
        ) as asking:
            for _ in range(times):
                await asking.get("/v1/items/x")

    def counts() -> list[int]:
        return [int(line.split()[0]) for line in log]

    async def run() -> None:
        await ask("10.0.0.1", "right", 3)
        await ask("10.0.0.1", None, 3)
        assert log == []
        await ask("10.0.0.2", "wrong", 1)
        assert log == ["1 requests with a wrong token, most from 10.0.0.2 (1)"]
        for number in range(2, 9):
            await ask(f"10.0.0.{number}", "wrong", 10 * number)
        while sum(counts()) < 1 + sum(10 * number for number in range(2, 9)):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 60))
    assert len(log) < sum(counts()) / 2
    assert "10.0.0.8" in log[-1]
