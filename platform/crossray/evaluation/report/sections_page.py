"""A report of sections, plots and the lineage: its text and its page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from crossray.evaluation.report.section import Section, section_lines


class Figure(NamedTuple):
    """A plot in the report's folder, and the words about it."""

    name: str
    title: str
    caption: str


def write_sections(
    directory: Path,
    title: str,
    explanation: str,
    report: Mapping[str, Any],
    sections: Sequence[Section],
    figures: Sequence[Figure],
) -> None:
    """Write `report.md` and `report.html`; of the report they show `notes` and `lineage`."""
    lines = [f"# {title}", "", *(f"> - {note}" for note in report["notes"]), "", explanation]
    for section in sections:
        lines += ["", *section_lines(section)]
    for figure in figures:
        lines += ["", f"![{figure.title}]({figure.name})"]
    lines += ["", "## Lineage", ""]
    lines += ["| what | id | where |", "|---|---|---|"]
    lines += [f"| {name} | {e['id']} | {e['uri']} |" for name, e in report["lineage"].items()]
    (directory / "report.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        files("crossray.evaluation.report").joinpath("sections.html").read_text(encoding="utf-8")
    )
    page: str = template.render(
        title=title,
        explanation=explanation,
        notes=report["notes"],
        sections=sections,
        figures=[
            {**figure._asdict(), "data": _encoded(directory / figure.name)} for figure in figures
        ],
        lineage=report["lineage"],
    )
    (directory / "report.html").write_text(page, encoding="utf-8")


def _encoded(path: Path) -> str:
    return b64encode(path.read_bytes()).decode("ascii")
