"""Reports as pages that need nothing else, and as text."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined

from crossray.evaluation.metrics import show_value
from crossray.evaluation.report.gallery import Gallery
from crossray.evaluation.report.section import PageSection, section_lines

VERDICTS = {"own": "its own", "label": "a label in common", "wrong": "neither"}


class Plot(NamedTuple):
    """A PNG file in the report's folder, and the words about it."""

    name: str
    title: str
    caption: str = ""


def write_pages(
    directory: Path,
    title: str,
    explanation: str,
    report: Mapping[str, Any],
    sections: Sequence[PageSection],
    plots: Sequence[Plot],
) -> None:
    """Write `report.json`, whose content is `report`, `report.md` and `report.html`.

    Text and page show the sections, the plots, and the `notes` and the `lineage` of the report.
    """
    content = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    (directory / "report.json").write_text(content + "\n", encoding="utf-8")
    lines = [f"# {title}", "", *(f"> - {note}" for note in report["notes"]), "", explanation]
    for section in sections:
        lines += ["", *section_lines(section)]
    for plot in plots:
        lines += ["", f"![{plot.title}]({plot.name})"]
    lines += ["", "## Lineage", ""]
    lines += ["| what | id | where |", "|---|---|---|"]
    lines += [f"| {name} | {e['id']} | {e['uri']} |" for name, e in report["lineage"].items()]
    (directory / "report.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    page = _render(
        "page.html",
        title=title,
        explanation=explanation,
        report=report,
        sections=sections,
        figures=[_figure(directory, plot) for plot in plots],
    )
    (directory / "report.html").write_text(page, encoding="utf-8")


def render_page(
    report: Mapping[str, Any],
    figures: Mapping[str, Path],
    words: Sequence[str],
    facts: Mapping[str, str],
    gallery: Gallery,
    sections: Sequence[PageSection] = (),
) -> str:
    """Return the page of one evaluation.

    Args:
        report: the content of `report.json`.
        figures: PNG files by caption; they are put into the page.
        words: sentences about the protocol.
        facts: lineage and counts by name.
        gallery: examples by direction; empty for none.
        sections: what stands between the results and the figures.
    """
    return _render(
        "report.html",
        title=f"Retrieval evaluation, protocol {report['protocol']['name']}",
        explanation=report["protocol"]["description"],
        report=report,
        sections=sections,
        figures=[_figure(path.parent, Plot(path.name, title)) for title, path in figures.items()],
        words=words,
        facts=facts,
        gallery=gallery,
        verdicts=VERDICTS,
    )


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"value": show_value, "direction": _direction, "jpeg": _jpeg}
    page: str = environment.get_template(template).render(**values)
    return page


def _template(name: str) -> str:
    return files("crossray.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _figure(directory: Path, plot: Plot) -> dict[str, str]:
    return {**plot._asdict(), "data": _base64((directory / plot.name).read_bytes())}


def _direction(name: str) -> str:
    return name.replace("_", " ")


def _jpeg(data: bytes) -> str:
    return f"data:image/jpeg;base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
