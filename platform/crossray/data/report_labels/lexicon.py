"""The lexicon: what names each finding and what turns its meaning, from `lexicon.json`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from crossray.data.report_labels.phrases import compile_phrases

Status = Literal["positive", "uncertain", "negative"]
Pattern = re.Pattern[str] | None


@dataclass(frozen=True)
class Finding:
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
    findings: dict[str, Finding]
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
            name: Finding(**{kind: compile_phrases(phrases) for kind, phrases in kinds.items()})
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
