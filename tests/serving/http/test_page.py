"""The search page runs its own script, and nothing that anybody else puts on it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from crossray.serving.http.page import search_page


class Attributes(HTMLParser):
    """Collects tags with their attributes, and the texts of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style"):
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def parsed() -> tuple[Attributes, dict[str, str]]:
    """The page and its policy."""
    page, headers = search_page()
    parser = Attributes()
    parser.feed(page.decode())
    sources = [part.strip() for part in headers["Content-Security-Policy"].split(";")]
    return parser, {part.split(" ")[0]: part.partition(" ")[2] for part in sources}


def test_the_policy_allows_the_page_and_nothing_else() -> None:
    """A browser would not run the page's script, or would run a script that a caption smuggles."""
    parser, policy = parsed()
    for kind in ("script", "style"):
        digest = hashlib.sha256(parser.texts[kind].encode()).digest()
        assert policy[f"{kind}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["img-src"] == "blob:"
    assert "unsafe" not in str(policy)


def test_nothing_is_loaded_from_elsewhere_or_run_from_attributes() -> None:
    """The page would not work in a hospital's network, or not under its own policy."""
    parser, _ = parsed()
    for _, attributes in parser.found:
        assert not {"src", "href", "action", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    script = parser.texts["script"]
    assert not re.search(
        r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write", script
    )
    assert "localStorage" not in script
