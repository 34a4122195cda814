"""Authentication: a bearer token on everything but the page and the health checks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
from collections import Counter
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from crossray.serving.access_token import digest
from crossray.serving.metrics import refused_token
from crossray.serving.problem import Problem

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
# A browser cannot send a bearer token with an address that is typed in, but can ask for a password.
BROWSER_PATHS = frozenset({"/docs", "/openapi.json"})
_LOG = logging.getLogger("ray.serve")
_SILENT_SECONDS = 10.0
_ADDRESSES_TOLD = 5


class TokenGate:
    """ASGI middleware that lets a request pass if its token has the digest `expected`."""

    def __init__(self, app: ASGIApp, expected: str) -> None:
        self._app, self._expected, self._guesses = app, expected, _Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            browser = scope["path"] in BROWSER_PATHS
            given = _given_token(Headers(scope=scope).get("authorization", ""), browser)
            if given is None or not hmac.compare_digest(digest(given), self._expected):
                refused_token("missing" if given is None else "wrong")
                if given is not None:
                    self._guesses.saw((scope["client"] or ("unknown",))[0])
                await _refusal(given is not None, browser).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Guesses:
    """Tells the log who sends wrong tokens: the first at once, then all of some seconds in a line.

    Else whoever guesses could fill the disk with it.
    """

    def __init__(self) -> None:
        self._by_address: Counter[str] = Counter()
        self._silent = False

    def saw(self, address: str) -> None:
        """Count a wrong token."""
        self._by_address[address] += 1
        if not self._silent:
            self._tell()

    def _tell(self) -> None:
        self._silent = bool(self._by_address)
        if self._silent:
            addresses = ", ".join(
                f"{address} ({number})"
                for address, number in self._by_address.most_common(_ADDRESSES_TOLD)
            )
            number = self._by_address.total()
            _LOG.warning(f"{number} requests with a wrong token, most from {addresses}")
            self._by_address.clear()
            asyncio.get_running_loop().call_later(_SILENT_SECONDS, self._tell)


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
