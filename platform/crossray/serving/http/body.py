"""Bodies of requests: read within limits, and parsed into no more than a search can hold.

A client that sends slowly, or a part and then nothing, must cost others neither places nor memory.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from crossray.serving.config import Limits
from crossray.serving.metrics import timed
from crossray.serving.problem import RETRY, Problem, invalid, unavailable
from crossray.serving.schema import LONGEST_VECTOR, SearchRequest

JSON = "application/json"
FORM = "multipart/form-data"
_MOST_STRINGS = 1000  # names and texts; a search has two dozen at most
_MOST_BRACKETS = 100


class Bodies:
    """The bodies that a process holds, from the first byte until their requests are answered."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: Counter[str] = Counter()  # bytes by client address

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The complete body, which counts as held until the block ends.

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


def kind_of(headers: Headers) -> str:
    """The type of a body: `JSON` or `FORM`.

    Raises:
        Problem: 415 for another.
    """
    kind = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (JSON, FORM):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A search is sent as {JSON} or {FORM}, not {kind}."
        )
    return kind


async def parse_request(kind: str, headers: Headers, body: bytes) -> SearchRequest:
    """A search request from a body of that kind.

    Raises:
        Problem: 400 for what cannot be parsed, 422 for fields that are unknown, missing or out of
            range.
    """
    try:
        if kind == JSON:
            _check_extent(body)
            return SearchRequest.model_validate_json(body, strict=True)
        return SearchRequest.model_validate(await _form(headers, body))
    except ValidationError as error:
        raise invalid(error) from None


def _check_extent(body: bytes) -> None:
    """Refuse JSON that would take long to parse: nobody else is answered meanwhile.

    What stands between strings is counted, at the speed at which bytes are searched.
    """
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = unescaped.split(b'"', 2 * _MOST_STRINGS + 1)
    structure = b"".join(parts[::2])
    if structure.count(b"[") + structure.count(b"{") > _MOST_BRACKETS:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is JSON nested deeper than any search.")
    values = structure.count(b",")
    if len(parts) > 2 * _MOST_STRINGS + 1 or values > 2 * LONGEST_VECTOR:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The body has many more fields or values than a search.",
        )


async def _form(headers: Headers, body: bytes) -> dict[str, Any]:
    async def stream() -> Any:
        yield body

    parser = MultiPartParser(
        headers,
        stream(),
        max_files=1,
        max_fields=len(SearchRequest.model_fields),
        max_part_size=len(body) + 1,
    )  # fmt: skip
    parser.spool_max_size = len(body) + 1  # what a client sends is not written to a disk
    try:
        items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"The form cannot be read: {error.message.rstrip('.')}."
        ) from None
    fields: dict[str, Any] = {}
    for name, value in items:
        if name in fields:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"The form has the field {name[:50]!r} twice."
            )
        if isinstance(value, UploadFile) != (name == "image"):
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"The form's field {name[:50]!r} cannot be taken: image, and only image, is a "
                "file.",
            )
        fields[name] = await value.read() if isinstance(value, UploadFile) else value
    return fields
