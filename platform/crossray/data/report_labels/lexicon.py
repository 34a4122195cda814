"""The lexicon: what names each finding and what turns its meaning, from `lexicon.json`.

A sentence is first brought to one form: small letters, one blank between words and marks, no
hyphens. A phrase of the lexicon is words with blanks between them: `word*` has any ending, `a|b` is
either word, `word?` (or `a|b?`) may be left out, `..` stands for up to two words and `...` for up
to six, none of them a mark.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Status = Literal["positive", "uncertain", "negative"]
Pattern = re.Pattern[str] | None
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


@dataclass(frozen=True)
class FindingPatterns:
    """Patterns of one finding.

    Attributes:
        named: mentions whose meaning the cues around them decide.
        doubted: phrases that state it with doubt.
        denied: phrases that state its absence, such as a normal heart for cardiomegaly.
        other: phrases that only look like a mention.
    """

    named: Pattern
    doubted: Pattern
    denied: Pattern
    other: Pattern


@dataclass(frozen=True)
class Cue:
    """Words that give the mentions before or after them a status; None: nothing is said."""

    status: Status | None
    before: Pattern
    after: Pattern


@dataclass(frozen=True)
class Lexicon:
    """All patterns; `parents` maps a finding to the broader one that it implies."""

    version: str
    findings: dict[str, FindingPatterns]
    parents: dict[str, str]
    cues: tuple[Cue, ...]
    either: Pattern
    ends_scope: Pattern
    verbs: Pattern
    says_seen: Pattern
    normal: Pattern
    skipped_sections: Pattern


@cache
def lexicon() -> Lexicon:
    """The project's lexicon, read and compiled once a process."""
    text = (files(__package__) / "lexicon.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    cues = data["cues"]
    statuses: dict[str, Status | None] = {
        "positive": "positive", "uncertain": "uncertain", "negative": "negative", "unsaid": None,
    }  # fmt: skip
    return Lexicon(
        version=data["version"],
        findings={
            name: FindingPatterns(
                **{kind: compile_phrases(phrases) for kind, phrases in kinds.items()}
            )
            for name, kinds in data["findings"].items()
        },
        parents=data["parents"],
        cues=tuple(
            Cue(status, compile_phrases(cues[name]["before"]), compile_phrases(cues[name]["after"]))
            for name, status in statuses.items()
        ),
        **{
            name: compile_phrases(data[name])
            for name in ("either", "ends_scope", "verbs", "says_seen", "normal", "skipped_sections")
        },
    )
