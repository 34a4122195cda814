"""What a report says of each finding, and the labels that follow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from crossray.data.report_labels.lexicon import Status, lexicon, normal_form
from crossray.data.report_labels.sentence import sentence_findings, strongest
from crossray.data.schema import Section
from crossray.data.sentences import split_sentences

Policy = Literal["zeros", "ones"]
NO_FINDING = "No Finding"
_NOT_DISEASE = ("Support Devices", NO_FINDING)


def report_findings(sentences: Iterable[str]) -> dict[str, Status]:
    """The status of every finding that a report mentions: the strongest over its sentences.

    A finding implies its parent in the lexicon. `No Finding` is positive when the report denies
    something or calls it normal, and states and doubts only Support Devices; it is negative when
    something is stated or doubted.
    """
    rules = lexicon()
    said: list[tuple[str, Status]] = []
    normal = False
    for sentence in sentences:
        said += sentence_findings(sentence).items()
        normal = normal or bool(rules.normal and rules.normal.search(normal_form(sentence)))
    said += [
        (rules.parents[name], status)
        for name, status in said
        if name in rules.parents and status != "negative"
    ]
    found = strongest(said)
    disease = [status for name, status in found.items() if name not in _NOT_DISEASE]
    if any(status != "negative" for status in disease):
        found[NO_FINDING] = "negative"
    elif disease or normal:
        found[NO_FINDING] = "positive"
    return found


def labels_of(findings: Mapping[str, Status], policy: Policy) -> list[str]:
    """The findings that count as present, in the order of the lexicon.

    An uncertain one counts as absent under `zeros` and as present under `ones` (U-Zeros and
    U-Ones of Irvin et al. 2019, CheXpert, section 3.2).
    """
    present = {"positive"} if policy == "zeros" else {"positive", "uncertain"}
    return [name for name in finding_names() if findings.get(name) in present]


def finding_names() -> tuple[str, ...]:
    """The 14 findings of CheXpert."""
    return (NO_FINDING, *lexicon().findings)


def read_sentences(texts: Sequence[str], sections: Sequence[Section]) -> list[str]:
    """The sentences of an item that tell what its image shows.

    Sections that tell why or how it was taken, such as the indication, are left out.
    """
    skipped = lexicon().skipped_sections
    outside = {
        at
        for section in sections
        if skipped and skipped.match(normal_form(section["name"]))
        for at in range(section["start"], section["stop"])
    }
    return [s for at, text in enumerate(texts) if at not in outside for s in split_sentences(text)]
