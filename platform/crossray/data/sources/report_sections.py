"""Findings and impression of a radiology report, found by its headings."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from crossray.data.sources import report_headings

# A colon before a digit is a time of day.
_CAPITALS = re.compile(r"^[ \t]*([A-Z][A-Z0-9 _()/,&-]{0,80}[A-Z0-9_)])[ \t]*:(?!\d)", re.MULTILINE)
_ANY_CASE = re.compile(
    r"^[ \t]*([A-Za-z][A-Za-z0-9 _()/,&-]{0,80}[A-Za-z0-9_)])[ \t]*:(?!\d)", re.MULTILINE
)
_BREAK = re.compile(r"^[ \t]*(?:FINAL (?:REPORT|ADDENDUM)|[_=-]{5,})[ \t]*$", re.MULTILINE)
_ON_ONE_LINE = re.compile(rf"\s((?:{report_headings.IN_CAPITALS})[ \t]*:)")
_PARAGRAPH_ENDS = re.compile(r"\n[ \t]*\n\Z")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


class _Mark(NamedTuple):
    """Where a part of the report begins: its heading from `start`, its text from `stop`."""

    start: int
    stop: int
    section: str | None
    part: bool


def read_sections(report: str, any_case: bool = False) -> dict[str, str]:
    """Text by section name: `findings` and `impression`, each of all parts that have its heading.

    A section reaches from its heading, capitals and a colon at the start of a line, to the next
    one that opens another section; headings of organs and devices stay in it. A report that has
    neither gives as its `body` the last paragraph that is not under another heading. Sections
    without words are left out. With `any_case`, headings may also be in small letters.
    """
    report = _by_line(report)
    marks = list(_marks(report, any_case))
    found: dict[str, list[str]] = {name: [] for name in report_headings.TEXT}
    ends = [*(mark.start for mark in marks), len(report)][1:]
    for mark, end in zip(marks, ends, strict=True):
        text = report[mark.start if mark.part else mark.stop : end].strip()
        if mark.section in found and _has_words(text):
            found[mark.section].append(text)
    sections = {name: "\n\n".join(texts) for name, texts in found.items() if texts}
    if sections:
        return sections
    body = _last_paragraph(report, any_case)
    return {"body": body} if body else {}


def has_headings(report: str) -> bool:
    """Whether any line of the report names a section, in any case."""
    report = _by_line(report)
    marks = _headings(report, any_case=True)
    return any(mark.section and report[mark.stop - 1] == ":" for mark in marks)


def _by_line(report: str) -> str:
    """The report with headings at the start of lines; some exports lose all line breaks."""
    report = report.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return report if "\n" in report.strip() else _ON_ONE_LINE.sub(r"\n\1", report)


def _marks(report: str, any_case: bool) -> Iterator[_Mark]:
    """The headings that open a section, in order."""
    section: str | None = None
    after = 0
    for mark in _headings(report, any_case):
        if mark.part and section in report_headings.TEXT:
            continue
        if mark.section is None:
            # Outside the sections of text, an organ opens findings where a paragraph begins.
            before = report[after : mark.start]
            if not (mark.part and before.strip() and _PARAGRAPH_ENDS.search(before)):
                continue
            mark = mark._replace(section="findings")
        else:
            mark = mark._replace(part=False)
        section, after = mark.section, mark.stop
        yield mark


def _headings(report: str, any_case: bool) -> Iterator[_Mark]:
    """The lines that may be headings, known or not, and the lines that end every section."""
    found = [*(_ANY_CASE if any_case else _CAPITALS).finditer(report), *_BREAK.finditer(report)]
    for match in sorted(found, key=lambda match: match.start()):
        if match.re is _BREAK:
            section = "addendum" if "ADDENDUM" in match[0] else "other"
            yield _Mark(match.start(), match.end(), section, part=False)
        elif match[1].isupper():
            known = report_headings.section_of(match[1])
            part = known in (None, "findings") and report_headings.names_part(match[1])
            yield _Mark(match.start(), match.end(), known, part)
        elif (known := report_headings.named_section(match[1])) or report_headings.only_names_part(
            match[1]
        ):
            yield _Mark(match.start(), match.end(), known, part=known is None)


def _last_paragraph(report: str, any_case: bool) -> str:
    """The last paragraph that neither opens with a heading of another section nor is its text."""
    last, waiting = "", False
    for paragraph in _BLANK_LINE.split(_BREAK.sub("\n", report)):
        lines = paragraph.split("\n")
        while lines and _is_title(lines[0], report):
            del lines[0]
        text = "\n".join(lines).strip()
        if not _has_words(text):
            continue
        headings = list(_headings(text, any_case))
        known = [mark for mark in headings if mark.section]
        if known and known[0].start == 0:
            waiting = not _has_words(text[known[-1].stop :])
        elif waiting:
            waiting = False
        else:
            opens = bool(headings) and headings[0].start == 0 and not headings[0].part
            last = text[headings[0].stop if opens else 0 : known[0].start if known else None]
    return last.strip()


def _is_title(line: str, report: str) -> bool:
    """Whether a line is a title such as FINAL REPORT or PORTABLE CHEST, and no sentence."""
    line = line.strip()
    if not line.isupper() or line.endswith((".", "!", "?")) or _CAPITALS.match(line):
        return False
    # In a report all in capitals, only the words can tell.
    return not report.isupper() or report_headings.section_of(line) is not None


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
