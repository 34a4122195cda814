"""Reading bodies within limits, before anything else is done for them.

A client that sends slowly, or a part and then nothing, must cost others neither places nor memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from crossray.serving.config import Limits
from crossray.serving.metrics import timed
from crossray.serving.problem import RETRY, Problem, unavailable


class Bodies:
    """The bodies that a process holds, from the first byte until their requests are answered."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: Counter[str] = Counter()  # bytes by client address

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, which counts as held until the block ends.

        Raises:
            Problem: 400 for a client that hangs up, 408 for one that is too slow, 413 for a body
                that is too large, 429 for a client whose bodies together are, 503 when those of
                all are.
        """
        body, client = bytearray(), request.client.host if request.client else ""
        try:
            with timed("read"):
                await self._receive(request, client, body)
            yield bytes(body)
        finally:
            self._held[client] -= len(body)
            if not self._held[client]:
                del self._held[client]

    async def _receive(self, request: Request, client: str, body: bytearray) -> None:
        claimed = request.headers.get("content-length", "")
        if claimed.isdecimal():
            self._check_size(int(claimed))
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    self._held[client] += len(chunk)
                    self._check_size(len(body))
                    self._check_held(client)
        except ClientDisconnect:
            raise Problem(HTTPStatus.BAD_REQUEST, "The body is not complete.") from None
        except TimeoutError:
            raise Problem(
                HTTPStatus.REQUEST_TIMEOUT,
                f"The body did not arrive within {self._limits.body_seconds:g} s.",
                {"Connection": "close"},
            ) from None

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            # The connection stays open: closing it while a client still sends would take the
            # answer away.
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is above the limit of {self._limits.body_bytes:,} bytes.",
            )

    def _check_held(self, client: str) -> None:
        if self._held[client] > self._limits.client_bytes:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "This client sends more at the same time than it may; try again soon.",
                RETRY,
            )
        if self._held.total() > self._limits.held_bytes:
            raise unavailable("The endpoint has more to do than it can; try again soon.")
