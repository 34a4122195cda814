"""Findings and impression of a radiology report as MIMIC-CXR writes it."""

from __future__ import annotations

import re

_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z ,/()&-]*[A-Z)])[ \t]*:", re.MULTILINE)
_SECTIONS = ("FINDINGS", "IMPRESSION")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def read_sections(report: str) -> dict[str, str]:
    """Text by section name: the last `findings` and the last `impression`.

    A section reaches from its heading, capitals and a colon at the start of a line, to the next
    one. A report that has neither gives its `body`: the paragraphs that do not open with a heading
    and are not a title in capitals. Sections without text are left out.
    """
    report = report.replace("\r\n", "\n")
    headings = list(_HEADING.finditer(report))
    ends = [*(heading.start() for heading in headings), len(report)]
    found: dict[str, str] = {}
    for heading, stop in zip(headings, ends[1:], strict=True):
        text = report[heading.end() : stop].strip()
        if heading[1] in _SECTIONS and text:
            found[heading[1]] = text
    if found:
        return {name.lower(): found[name] for name in _SECTIONS if name in found}
    paragraphs = [paragraph.strip() for paragraph in _BLANK_LINE.split(report)]
    body = [text for text in paragraphs if not (_HEADING.match(text) or text.isupper())]
    joined = "\n\n".join(text for text in body if text)
    return {"body": joined} if joined else {}
