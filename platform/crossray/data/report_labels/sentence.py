"""What one sentence says of each finding: present, doubted or absent.

A mention is present unless a cue governs it. A cue before a mention reaches to the right, a cue
after it to the left, neither out of its clause; the nearest counts. A doubt that is itself denied
("nothing to suggest") denies, and a doubted "unchanged" doubts.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from crossray.data.report_labels.lexicon import (
    FindingPatterns,
    Lexicon,
    Pattern,
    Status,
    lexicon,
    normal_form,
)

_SEPARATOR = re.compile(r" (?:[,:;/]|and|or|nor)(?= )")
_LIST = re.compile(r" (?:[,:;/]|and)(?= )")
_COMMA = re.compile(r" [,:](?! or )(?= )")
_NEAR = re.compile(r"(?: [a-z0-9_']+){0,2}")
_STRONGEST: tuple[Status, ...] = ("positive", "uncertain", "negative")


@dataclass(frozen=True)
class _Cue:
    start: int
    end: int
    status: Status | None
    before: bool


@dataclass
class _Mention:
    finding: str
    start: int
    end: int
    status: Status | None
    ruled: bool  # by a cue or by the phrase itself


def sentence_findings(sentence: str) -> dict[str, Status]:
    """The status of every finding that `sentence` mentions: the strongest over its mentions."""
    lexicon_ = lexicon()
    text = normal_form(sentence)
    clause = _Clauses(text, lexicon_)
    mentions = []
    for name, finding in lexicon_.findings.items():
        for start, end, kind in _mentions(text, finding):
            inside = [cue for cue in clause.cues if start <= cue.start and cue.end <= end]
            if kind == "named":
                cue = clause.governing(start, end, inside)
                status = clause.meaning(cue) if cue else "positive"
                mentions.append(_Mention(name, start, end, status, cue is not None))
            elif kind == "doubted":
                mentions.append(_Mention(name, start, end, "uncertain", True))
            elif not any(cue.status == "negative" for cue in inside):
                mentions.append(_Mention(name, start, end, "negative", True))
    _doubt_either(text, mentions, lexicon_.either)
    return strongest((m.finding, m.status) for m in mentions if m.status is not None)


def strongest(statuses: Iterable[tuple[str, Status]]) -> dict[str, Status]:
    """One status a finding: positive before uncertain before negative."""
    found: dict[str, Status] = {}
    for name, status in statuses:
        known = found.get(name, "negative")
        found[name] = min(status, known, key=_STRONGEST.index)
    return found


def _spans(pattern: Pattern, text: str) -> Iterator[tuple[int, int]]:
    if pattern is not None:
        yield from (match.span() for match in pattern.finditer(text))


def _mentions(text: str, finding: FindingPatterns) -> list[tuple[int, int, str]]:
    """Mentions that do not overlap: of two that do, the one that ends first counts."""
    taken = list(_spans(finding.other, text))
    kinds = (("doubted", finding.doubted), ("named", finding.named), ("denied", finding.denied))
    candidates = sorted(
        (end, order, start, kind)
        for order, (kind, pattern) in enumerate(kinds)
        for start, end in _spans(pattern, text)
    )
    kept = []
    for end, _, start, kind in candidates:
        if all(end <= left or right <= start for left, right in taken):
            taken.append((start, end))
            kept.append((start, end, kind))
    return kept


class _Clauses:
    """The cues of a sentence and how far each reaches."""

    def __init__(self, text: str, lexicon_: Lexicon) -> None:
        self._text = text
        self.cues = _cues(text, lexicon_)
        seen = list(_spans(lexicon_.says_seen, text))
        self._verbs = [
            start for start, end in _spans(lexicon_.verbs, text)
            if not any(left <= start < right for left, right in seen)
        ]  # fmt: skip
        self._bounds = [start for start, _ in _spans(lexicon_.ends_scope, text)]
        # A comma or "and" opens a clause when a verb follows before the next one.
        marks = [match.start() for match in _SEPARATOR.finditer(text)]
        for mark, following in pairwise([*marks, len(text)]):
            opens = text.startswith((" , ", " and "), mark)
            if opens and any(mark < verb < following for verb in self._verbs):
                self._bounds.append(mark)

    def governing(self, start: int, end: int, inside: list[_Cue]) -> _Cue | None:
        """The cue that the mention `[start, end)` obeys: within, else after, else before it."""
        if inside:
            return inside[-1]
        behind = [cue for cue in self.cues if not cue.before and self._reaches_left(cue, end)]
        ahead = [cue for cue in self.cues if cue.before and self._reaches_right(cue, start)]
        if behind:
            return min(behind, key=lambda cue: cue.start)
        return max(ahead, key=lambda cue: cue.end, default=None)

    def meaning(self, cue: _Cue) -> Status | None:
        """The status that `cue` gives, itself under the cue before it."""
        above = [
            other for other in self.cues
            if other.before and other.end <= cue.start and self._joined(other.end, cue.start)
        ]  # fmt: skip
        if not above or not cue.before:
            return cue.status
        outer = self.meaning(above[-1])
        adjacent = above[-1].end == cue.start
        if outer is None or (outer == "negative" and (adjacent or cue.status == "uncertain")):
            return outer
        return outer if (outer, cue.status) == ("uncertain", "positive") else cue.status

    def _joined(self, left: int, right: int) -> bool:
        return not _LIST.search(self._text, left, right + 1) and self._same(left, right)

    def _reaches_right(self, cue: _Cue, start: int) -> bool:
        if cue.end > start or not self._same(cue.end, start):
            return False
        return cue.status != "uncertain" or not _COMMA.search(self._text, cue.end, start + 1)

    def _reaches_left(self, cue: _Cue, end: int) -> bool:
        if cue.start < end or not self._same(end, cue.start):
            return False
        return not any(end <= verb < cue.start for verb in self._verbs)

    def _same(self, left: int, right: int) -> bool:
        return not any(left <= bound < right for bound in self._bounds)


def _cues(text: str, lexicon_: Lexicon) -> list[_Cue]:
    """The cues in order; of two that overlap the longer counts."""
    found = [
        _Cue(start, end, cue.status, before)
        for cue in lexicon_.cues
        for before, pattern in ((True, cue.before), (False, cue.after))
        for start, end in _spans(pattern, text)
    ]
    kept: list[_Cue] = []
    for cue in sorted(found, key=lambda cue: cue.start - cue.end):
        same = [c for c in kept if cue.start < c.end and c.start < cue.end]
        if all((c.start, c.end) == (cue.start, cue.end) and c.before != cue.before for c in same):
            kept.append(cue)
    return sorted(kept, key=lambda cue: cue.end)


def _doubt_either(text: str, mentions: list[_Mention], either: Pattern) -> None:
    """Of "atelectasis or infiltrate" neither is certain."""
    for start, end in _spans(either, text):
        for mention in mentions:
            left = mention.end <= start and _NEAR.fullmatch(text, mention.end, start)
            right = end <= mention.start and _NEAR.fullmatch(text, end, mention.start)
            if (left or right) and not mention.ruled:
                mention.status = "uncertain"
