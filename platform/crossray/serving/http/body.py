"""From the body of a request to what is asked, but not to more than a search can hold."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from crossray.serving.problem import Problem, invalid
from crossray.serving.schema import LONGEST_VECTOR, SearchRequest

JSON = "application/json"
FORM = "multipart/form-data"


_MOST_STRINGS = 1000  # names and texts; a search has two dozen at most
_MOST_BRACKETS = 100


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
