"""The pages of the documentation, and the code blocks in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
# Decisions and the changelog keep the words of their day.
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted(ROOT.glob("docs/**/*.md")) if page.parent.name != "decisions"),
]


def blocks(page: Path, language: str = "") -> list[str]:
    """The code blocks of a page in that language; those without one by default."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for kind, block in fences if kind == language]
