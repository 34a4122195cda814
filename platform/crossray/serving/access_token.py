"""The endpoint's bearer token: from the environment, or made once and kept on this machine."""

import hashlib
import os
import re
import secrets
from pathlib import Path

from crossray.core.artifacts import cache_dir
from crossray.core.errors import CrossRayError

TOKEN_VARIABLE = "CROSSRAY_TOKEN"  # noqa: S105
_FORM = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")  # RFC 6750, section 2.1, and no toy passwords


def token_file() -> Path:
    """Where a token that was made is kept, readable by its owner only."""
    return cache_dir() / "serving-token"


def find_token() -> str | None:
    """`$CROSSRAY_TOKEN`, or the token kept on this machine, if there is either.

    Raises:
        CrossRayError: what the environment holds is no bearer token of 16 characters or more.
    """
    if given := os.environ.get(TOKEN_VARIABLE):
        if not _FORM.fullmatch(given):
            raise CrossRayError(
                f"{TOKEN_VARIABLE} is no bearer token; use 16 or more letters, digits and "
                "characters of ._~+/=- , or unset it to have one made."
            )
        return given
    path = token_file()
    return path.read_text(encoding="ascii").strip() if path.exists() else None


def provide_token() -> str:
    """The token of this machine, made if there is none; raises as `find_token`."""
    if found := find_token():
        return found
    token = secrets.token_urlsafe(32)
    try:
        handle = os.open(token_file(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was first
        return provide_token()
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(token + "\n")
    return token


def digest(token: str) -> str:
    """What the replicas know of the token: enough to check it, not enough to use it."""
    return hashlib.sha256(token.encode()).hexdigest()
