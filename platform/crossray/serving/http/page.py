"""The search page: one static file, and headers that let nothing else run on it."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def search_page() -> tuple[bytes, dict[str, str]]:
    """The page and the headers that go with it.

    The policy allows the page's script and style by their hashes, requests to the endpoint,
    and images that the script has fetched.
    """
    text = (files(__package__) / "search.html").read_text(encoding="utf-8")
    (script,), (style,) = _SCRIPT.findall(text), _STYLE.findall(text)
    headers = closed_headers(
        script=hash_source(script), style=hash_source(style), connect="'self'", img="blob:"
    )
    return text.encode(), headers


def hash_source(text: str) -> str:
    """A source of a Content-Security-Policy: the inline script or style `text` and no other."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def closed_headers(**allowed: str) -> dict[str, str]:
    """Headers for a page of which nothing is allowed but `allowed`, by kind of source."""
    sources = "".join(f"; {kind}-src {source}" for kind, source in allowed.items())
    return {
        "Content-Security-Policy": f"default-src 'none'{sources}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
