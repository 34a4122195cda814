"""Phrases of the lexicon as patterns over the words of a sentence.

A sentence is brought to one form first: small letters, words and marks apart by one blank each,
hyphens gone. A phrase is words with blanks between them: `word*` has any ending, `a|b` is either
word, `word?` (or `a|b?`) may be left out, `..` stands for up to two words and `...` for up to six,
none of them a mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[a-z0-9_']+|[^\sa-z0-9_']")
_GAPS = {"..": r"(?: [a-z0-9_']+){0,2}?", "...": r"(?: [a-z0-9_']+){0,6}?"}


def normal_form(sentence: str) -> str:
    """The words and marks of a sentence, each between blanks."""
    return f" {' '.join(_TOKEN.findall(sentence.lower().replace('-', ' ')))} "


def compile_phrases(phrases: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern over `normal_form` for all the phrases, long ones first; None without any."""
    longest = sorted(phrases, key=lambda phrase: -len(phrase.split()))
    patterns = [_pattern(phrase) for phrase in longest]
    return re.compile(rf"(?:{'|'.join(patterns)})(?= )") if patterns else None


def _pattern(phrase: str) -> str:
    parts = []
    for word in phrase.split():
        if word in _GAPS:
            parts.append(_GAPS[word])
            continue
        optional = word.endswith("?")
        either = "|".join(map(_word, word.rstrip("?").split("|")))
        parts.append(f"(?: (?:{either})){'?' if optional else ''}")
    return "".join(parts)


def _word(word: str) -> str:
    return re.escape(word.removesuffix("*")) + (r"[a-z0-9_']*" if word.endswith("*") else "")
