"""Reading what a client sends, but not more than is allowed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from crossray.serving.problem import Problem, invalid
from crossray.serving.schema import SearchRequest

JSON = "application/json"
FORM = "multipart/form-data"


async def read_request(request: Request, limit: int) -> SearchRequest:
    """A search request from a JSON or multipart body of at most `limit` bytes.

    Raises:
        Problem: 400 for what cannot be parsed, 413 for too much, 415 for another type, 422 for
            fields that are unknown, missing or out of range.
    """
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (JSON, FORM):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"A search is sent as {JSON} or {FORM}, not {kind}."
        )
    body = await _read(request, limit)
    try:
        if kind == JSON:
            return SearchRequest.model_validate_json(body, strict=True)
        return SearchRequest.model_validate(await _form(request.headers, body))
    except ValidationError as error:
        raise invalid(error) from None


async def _read(request: Request, limit: int) -> bytes:
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is not complete.") from None
    return bytes(body)


def _too_large(limit: int) -> Problem:
    # The connection stays open: closing it while a client still sends would take the answer away.
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is above the limit of {limit:,} bytes."
    )


async def _form(headers: Headers, body: bytes) -> dict[str, Any]:
    async def stream() -> Any:
        yield body

    parser = MultiPartParser(
        headers, stream(), max_files=1, max_fields=10, max_part_size=len(body) + 1
    )
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
