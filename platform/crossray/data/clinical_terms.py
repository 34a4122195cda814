"""Clinical terms in a text: the longest ones of a list, as spans of characters."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from crossray.core.errors import CrossRayError

BUILT_IN = "built-in"
UMLS_FILE = "MRCONSO.RRF"
LONGEST = 8  # words; longer names of UMLS are sentences that no report spells out
# Columns of MRCONSO.RRF (UMLS Reference Manual, "Concept Names and Sources"), from 0.
_LANGUAGE, _STRING, _SUPPRESSED, _COLUMNS = 1, 14, 16, 18
_WORD = re.compile(r"[^\W_]+")
_BETWEEN = re.compile(r"\s*[-/]?\s*")


class Span(NamedTuple):
    """`text[start:stop]`."""

    start: int
    stop: int


class ClinicalTerms:
    """Finds terms: complete words, without regard to capitals, hyphens and plurals."""

    def __init__(self, terms: Iterable[str]) -> None:
        """Terms without a letter and of more than `LONGEST` words are left out."""
        found = (tuple(singular(word) for word in _WORD.findall(term.lower())) for term in terms)
        self._terms = {
            words for words in found
            if 0 < len(words) <= LONGEST and any(c.isalpha() for c in words[0])
        }  # fmt: skip
        self._longest: dict[str, int] = {}
        for words in self._terms:
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def __len__(self) -> int:
        return len(self._terms)

    def spans(self, text: str) -> list[Span]:
        """Where terms are, from left to right, the longest at each place; none overlap.

        Only blanks and one hyphen or slash may be between the words of a term.
        """
        words = [(singular(m[0].lower()), *m.span()) for m in _WORD.finditer(text)]
        spans, place = [], 0
        while place < len(words):
            length = self._length_at(words, place, text)
            if length:
                spans.append(Span(words[place][1], words[place + length - 1][2]))
            place += max(1, length)
        return spans

    def _length_at(self, words: Sequence[tuple[str, int, int]], place: int, text: str) -> int:
        """Words of the longest term that begins at a word; 0 if none does."""
        reach = 1
        while (
            reach < self._longest.get(words[place][0], 0)
            and place + reach < len(words)
            and _BETWEEN.fullmatch(text, words[place + reach - 1][2], words[place + reach][1])
        ):
            reach += 1
        for length in range(reach, 0, -1):
            if tuple(word for word, _, _ in words[place : place + length]) in self._terms:
                return length
        return 0


def singular(word: str) -> str:
    """A lower-case English word without the ending of a regular plural."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=2)
def load_terms(source: str = BUILT_IN) -> ClinicalTerms:
    """The terms of a source.

    `built-in`: a list for chest radiology. An absolute path: a text file with a term a line
    (# begins a comment), or UMLS' MRCONSO.RRF, which its user must have licensed; of it English,
    unsuppressed names are read. Raises `CrossRayError` for a file that is not there, not of that
    form or without a term.
    """
    if source == BUILT_IN:
        text = (files("crossray.data") / "clinical_terms.txt").read_text(encoding="utf-8")
        return ClinicalTerms(_lines(text.splitlines()))
    path = Path(source)
    if not path.is_absolute() or not path.is_file():
        raise CrossRayError(
            f"there is no list of clinical terms at {source!r}; give {BUILT_IN!r} or the absolute "
            f"path of a text file with a term a line or of UMLS' {UMLS_FILE}."
        )
    with path.open(encoding="utf-8") as file:
        terms = ClinicalTerms(_umls(file, path) if path.suffix == ".RRF" else _lines(file))
    if not len(terms):
        raise CrossRayError(f"{source} has no clinical term; give a file with a term a line.")
    return terms


def _lines(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def _umls(lines: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        columns = line.rstrip("\n").split("|")
        if len(columns) != _COLUMNS + 1:  # the last column ends with a bar too
            raise CrossRayError(
                f"line {number} of {path} has {len(columns) - 1} columns and {UMLS_FILE} has "
                f"{_COLUMNS}; give the file as UMLS publishes it."
            )
        if columns[_LANGUAGE] == "ENG" and columns[_SUPPRESSED] == "N":
            yield columns[_STRING]
