"""Sentences of reports and captions, by rule.

The rules know what clinical text does: hard-wrapped lines, numbered lists, decimals, a missing
blank after a full stop and the marks that de-identification leaves (`___`, `XXXX`).
"""

import re
from collections.abc import Mapping

from crossray.data.missing_values import is_visible, present
from crossray.data.schema import Section

_ALWAYS_OPEN = frozenset(
    {
        "dr", "mr", "mrs", "ms", "prof", "st", "vs", "cf", "ca", "approx", "dept", "hosp", "resp",
        "e.g", "i.e",
    }
)  # fmt: skip
_OPEN_BEFORE_NUMBER = frozenset({"no", "nos", "fig", "figs", "vol", "pp"})
_OPEN_UNLESS_CAPITAL = frozenset(
    {
        "etc", "al", "a.m", "p.m", "inc", "ltd", "co", "jr", "sr", "u.s", "u.k", "min", "max",
        "temp", "lat", "ext", "pt", "pts",
    }
)  # fmt: skip

_LIST_MARK = r"(?:\(?\d{1,2}[.)]|[-*\u2022])"
_PARAGRAPH = re.compile(
    rf"\n\s*\n|\n(?=[ \t]*{_LIST_MARK}[ \t]+\S)|\n(?=[ \t]*[A-Z][A-Z ()/,&-]{{2,40}}:)"
)
_LEADING_MARK = re.compile(rf"^{_LIST_MARK}\s+")
_STOP = re.compile(r"[.!?]+[\"'\u201d\u2019)\]]*(?=\s|$)|(?<=[a-z]{2}[.!?])(?=[A-Z][a-z])")
_NUMBER_MARK = re.compile(r"\d{1,2}\.")
_LAST_WORD = re.compile(r"(\S+\s+)?\b([A-Za-z](?:[A-Za-z.]*[A-Za-z])?)\.$")


def split_sentences(text: str) -> list[str]:
    """The sentences of `text` in order, blanks collapsed, marks of lists taken off.

    A text without any letter or digit that is shown, or `_`, has none.
    """
    sentences = []
    for paragraph in _PARAGRAPH.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        flat = " ".join(paragraph.split())
        start = 0
        for stop in _STOP.finditer(flat):
            head, tail = flat[start : stop.end()].strip(), flat[stop.end() :].lstrip()
            if tail and not _ends(head, tail):
                continue
            sentences.append(head)
            start = stop.end()
        sentences.append(flat[start:].strip())
    unmarked = [_LEADING_MARK.sub("", sentence) for sentence in sentences]
    return [s for s in unmarked if is_visible(s) and any(c.isalnum() or c == "_" for c in s)]


def as_document(parts: Mapping[str, str]) -> tuple[list[str], list[Section]]:
    """The sentences of a document and, over them, one section for every part that has any.

    A part that is a table's word for a missing value has none.
    """
    texts: list[str] = []
    sections: list[Section] = []
    for name, text in parts.items():
        start = len(texts)
        texts.extend(split_sentences(present(text)))
        if len(texts) > start:
            sections.append(Section(name=name, start=start, stop=len(texts)))
    return texts, sections


def _ends(head: str, tail: str) -> bool:
    """Whether the stop that closes `head` ends a sentence although `tail` follows."""
    bare = head.rstrip("\"'\u201d\u2019)]")
    if not bare.endswith("."):
        return True
    if _NUMBER_MARK.fullmatch(head):
        return False
    if bare.endswith(".."):
        return not tail[0].islower()
    match = _LAST_WORD.search(bare)
    if match is None:
        return True
    before, word = match.group(1) or "", match.group(2)
    if len(word) == 1 and word.isupper() and tail[0].isupper():
        # An initial follows a name or is alone; "vitamin C." ends its sentence.
        return bool(before) and not before[0].isupper()
    word = word.lower()
    if word in _OPEN_UNLESS_CAPITAL:
        return tail[0].isupper()
    return word not in _ALWAYS_OPEN and not (word in _OPEN_BEFORE_NUMBER and tail[0].isdigit())
