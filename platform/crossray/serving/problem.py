"""Errors as problem documents (RFC 9457): one shape for every answer that is not a success."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from crossray.core.errors import CrossRayError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
RETRY = {"Retry-After": str(RETRY_SECONDS)}
_LOG = logging.getLogger("ray.serve")


class FieldError(BaseModel):
    """A field of a request and what is wrong with it."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """What every error answer looks like."""

    model_config = ConfigDict(extra="forbid")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class Problem(Exception):  # noqa: N818
    """An error that its client reads: a status and one sentence, never a traceback."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        headers: dict[str, str] | None = None,
        errors: Sequence[FieldError] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = headers or {}
        self.document = ProblemDocument(
            title=status.phrase,
            status=status.value,
            detail=detail,
            errors=list(errors) if errors else None,
        )

    def response(self) -> Response:
        """The document as an answer."""
        return Response(
            to_json(self.document, exclude_none=True),
            self.document.status,
            {"Cache-Control": "no-store", **self.headers},
            MEDIA_TYPE,
        )


def unprocessable(detail: str) -> Problem:
    """The request is well formed, but cannot be answered."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def unavailable(detail: str) -> Problem:
    """The request was fine, and may be sent again soon."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY)


def invalid(error: ValidationError) -> Problem:
    """What pydantic found wrong: 400 for broken JSON, else 422; the input is never repeated."""
    parts = error.errors(include_url=False, include_input=False, include_context=False)
    found = [
        FieldError(field=".".join(map(str, part["loc"])), message=part["msg"]) for part in parts
    ]
    first = found[0]
    why = first.message.rstrip(".")
    if parts[0]["type"] == "json_invalid":
        return Problem(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {why}.")
    where = f"The field {first.field!r}" if first.field else "The request"
    detail = f"{where} cannot be taken: {why}."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=found[:10])


def add_handlers(app: FastAPI) -> None:
    """Make the application answer every error with a problem document."""

    async def known(request: Request, error: Problem) -> Response:
        return error.response()

    async def refused(request: Request, error: CrossRayError) -> Response:
        return unprocessable(_sentence(str(error))).response()

    async def routing(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers) if error.headers else None
        return Problem(status, f"{status.description or status.phrase}.", headers).response()

    async def unexpected(request: Request, error: Exception) -> Response:
        _LOG.error("a request failed", exc_info=error)
        detail = "The request could not be answered because of a fault of the server."
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail).response()

    handlers: dict[type[Exception], Any] = {
        Problem: known,
        CrossRayError: refused,
        HTTPException: routing,
        Exception: unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
