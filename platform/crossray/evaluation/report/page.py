"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from crossray.evaluation.metrics import show_value
from crossray.evaluation.report.gallery import Gallery
from crossray.evaluation.report.section import Section

VERDICTS = {"own": "its own", "label": "a label in common", "wrong": "neither"}


def render_page(
    report: Mapping[str, Any],
    figures: Mapping[str, Path],
    words: Sequence[str],
    facts: Mapping[str, str],
    gallery: Gallery,
    sections: Sequence[Section] = (),
) -> str:
    """Return the page.

    Args:
        report: the content of `report.json`.
        figures: PNG files by caption; they are put into the page.
        words: sentences about the protocol.
        facts: lineage and counts by name.
        gallery: examples by direction; empty for none.
        sections: what stands between the results and the figures.
    """
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"value": show_value, "direction": _direction, "jpeg": _jpeg}
    page: str = environment.get_template("report.html").render(
        report=report,
        figures={caption: _base64(path.read_bytes()) for caption, path in figures.items()},
        words=words,
        facts=facts,
        gallery=gallery,
        sections=sections,
        verdicts=VERDICTS,
    )
    return page


def _template(name: str) -> str:
    return files("crossray.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _direction(name: str) -> str:
    return name.replace("_", " ")


def _jpeg(data: bytes) -> str:
    return f"data:image/jpeg;base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
