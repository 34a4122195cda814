"""Which section of a radiology report a heading opens: the headings of MIMIC-CXR, as counted there.

Johnson et al., MIMIC-CXR (arXiv:1901.07042); the table follows the published code of the data set.
"""

import re
from difflib import get_close_matches
from functools import lru_cache

TEXT = ("findings", "impression")
"""The sections that describe the film."""

_SPELLINGS = {
    "findings": ("finding",),
    "impression": (
        "imp", "conclusion", "conclusions", "opinion", "findings and impression",
        "findings/impression",
    ),
    "history": ("hx", "clinical history", "clinical information", "patient history", "pfi"),
    "indication": ("reason for examination", "reason for exam", "clinical indication"),
    "comparison": ("comparisons", "reference exam", "comparison exam", "comparison film"),
    "examination": ("exam", "type of examination"),
    "technique": ("procedure",),
    "notification": (),
    "recommendations": ("recommendation", "recommendation(s)"),
    "addendum": (),
    "date": (),
    "comment": (),
    "wet read": ("wetread",),
}  # fmt: skip
_SECTIONS = {
    spelling: name
    for name, spellings in _SPELLINGS.items()
    for spelling in (name, *spellings)
}  # fmt: skip
_MAIN = ("impression", "findings", "history", "comparison", "addendum")
# Of headings that tell of the examination and its readers, not of what the film shows.
_AROUND = re.compile(
    r"^(?:type of )?exam(?:ination)?\b|\b(?:indications?|reason|technique|procedures?|protocol"
    r"|dates?|times?|recommend\w*|notif\w+|communicat\w+|discuss\w+|dictat\w+|transcri\w+|sign\w*"
    r"|attending|resident|physicians?|doctors?|dr|radiologists?|referr\w+|order\w*|clinical|patient"
    r"|diagnos[ei]s|symptoms?|complaints?|pain|trauma|injury|wet ?read|comments?|contrast|dose"
    r"|accession|approved|verified|electronically|prior|previous|compared?|reference|questions?"
    r"|request\w*|mrn|dob|report (?:date|status)|priority|by|cc|attest\w+)\b"
)
_VIEW = re.compile(
    r"\b(?:chest|portable|pa|ap|lat|lateral|frontal|views?|upright|erect|supine|decubitus|ribs?"
    r"|bone windows?|radiographs?|x-?rays?|cxr|films?)\b"
)
_ORGAN = re.compile(
    r"\b(?:lungs?|pulmonary|airspaces?|airways?|parenchyma\w*|hearts?|cardi\w+|mediastin\w+|hil\w+"
    r"|pleura\w*|pneumothorax|effusions?|bon(?:e|es|y)|osseous|skelet\w+|musculoskeletal|ribs?"
    r"|spin(?:e|al)|vertebra\w*|clavicles?|shoulders?|trachea\w*|\w*diaphragm\w*|abdom\w+|bowel"
    r"|stomach|liver|(?:soft )?tissues?|wall|lines?|tubes?|catheters?|devices?|hardware|aort\w+"
    r"|vessels?|vascul\w+|thora\w+|neck|thyroid|breasts?)\b"
)
_PART = re.compile(f"{_VIEW.pattern}|{_ORGAN.pattern}")
_JOINING = re.compile(r"(?:and|or|of|the|one|two|single|left|right|upper|lower|\d|[&/,()-]|\s)+")
IN_CAPITALS = "|".join(re.escape(name.upper()) for name in sorted(_SECTIONS, key=len)[::-1])
"""A pattern of the names in the table, longer ones first."""

_SLASH = re.compile(r"\s*/\s*")


@lru_cache(maxsize=4096)
def section_of(heading: str) -> str | None:
    """The section that a heading in capitals opens; None where no rule knows it.

    Next to the names and their spellings, misspelt or not: a heading that contains the name of a
    main section is that section, one that names a view or a study is findings, and one that tells
    of the examination or its readers is `other`.
    """
    name = _plain(heading)
    if name in _SECTIONS:
        return _SECTIONS[name]
    if len(name) > 4 and (close := get_close_matches(name, _SECTIONS, n=1, cutoff=0.85)):
        return _SECTIONS[close[0]]
    for main in _MAIN:
        if main in name:
            return main
    if _AROUND.search(name):
        return "other"
    return "findings" if _VIEW.search(name) else None


def named_section(heading: str) -> str | None:
    """The section of a heading in any case, which must be exactly a name from the table.

    Looser rules would take sentences that hold a colon for headings.
    """
    return _SECTIONS.get(_plain(heading))


def names_part(heading: str) -> bool:
    """Whether a heading in capitals names an organ or a device."""
    return bool(_ORGAN.search(_plain(heading)))


def only_names_part(heading: str) -> bool:
    """Whether a heading in any case names an organ, a device or a view, and nothing else."""
    rest, count = _PART.subn(" ", _plain(heading))
    return count > 0 and not _JOINING.sub("", rest)


def _plain(heading: str) -> str:
    name = _SLASH.sub("/", " ".join(heading.lower().split()))
    return name.removeprefix("final report ")
