"""Who may ask: a bearer token on everything but the page and the health checks."""

from __future__ import annotations

import base64
import binascii
import hmac
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from crossray.serving.access_token import digest
from crossray.serving.problem import Problem

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
# A browser cannot send a bearer token with an address that is typed in, but can ask for a password.
BROWSER_PATHS = frozenset({"/docs", "/openapi.json"})


class TokenGate:
    """ASGI middleware that lets a request pass if its token has the digest `expected`."""

    def __init__(self, app: ASGIApp, expected: str) -> None:
        self._app, self._expected = app, expected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            browser = scope["path"] in BROWSER_PATHS
            given = _given_token(Headers(scope=scope).get("authorization", ""), browser)
            if given is None or not hmac.compare_digest(digest(given), self._expected):
                await _refusal(given is not None, browser).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _given_token(header: str, browser: bool) -> str | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if browser and scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _refusal(wrong: bool, browser: bool) -> Problem:
    challenge = 'Bearer realm="crossray"' + (', error="invalid_token"' if wrong else "")
    if browser:
        challenge = f'Basic realm="crossray: the token is the password", {challenge}'
    detail = (
        "The token is wrong; use the one that `crossray serve` printed."
        if wrong
        else "A token is needed: send the header 'Authorization: Bearer TOKEN'."
    )
    return Problem(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": challenge})
