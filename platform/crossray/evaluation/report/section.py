"""Parts of a report that are sentences and a table, the same in its text and on its page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PageSection:
    """A heading, sentences, and a table if it has rows; an `alarm` must not be overlooked."""

    title: str
    words: Sequence[str]
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    alarm: bool = False


def section_lines(section: PageSection) -> list[str]:
    """The section as lines of Markdown."""
    mark = "> " if section.alarm else ""
    lines = [f"## {section.title}"]
    for word in section.words:
        lines += ["", f"{mark}{word}"]
    if section.rows:
        lines += ["", _row(section.columns), "|---" * len(section.columns) + "|"]
        lines += map(_row, section.rows)
    return lines


def markdown_cell(text: str) -> str:
    """Text that cannot end a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(markdown_cell, cells))} |"
