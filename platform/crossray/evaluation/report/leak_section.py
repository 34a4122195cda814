"""What leaks from one split into another, as a part of a report."""

from dataclasses import dataclass

from crossray.evaluation.report.section import PageSection

TITLE = "Leak check"


@dataclass(frozen=True)
class Leaked:
    """What a split shares with another.

    Attributes:
        kind: item id, group, text or image.
        split: whose items are counted.
        also_in: the split that has their twins.
        items: how many of `of` items have a twin.
        of: the items of `split`.
        examples: ids of an item and its twin.
    """

    kind: str
    split: str
    also_in: str
    items: int
    of: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LeakFindings:
    """What leaks, and what was compared: all `items`, and `images` of the `of_images` images.

    `unchecked` are sentences about what was not compared at all.
    """

    found: tuple[Leaked, ...]
    items: int
    images: int
    of_images: int
    unchecked: tuple[str, ...] = ()


def leak_section(findings: LeakFindings) -> PageSection:
    """The findings for a reader."""
    images = f"all {findings.of_images:,}"
    if findings.images != findings.of_images:
        images = f"a sample of {findings.images:,} of the {findings.of_images:,}"
    words = [
        _verdict(findings),
        f"Compared were the ids, groups and texts of all {findings.items:,} items, and {images} "
        f"images by fingerprints that hardly change with size or compression.",
        *findings.unchecked,
    ]
    rows = [_cells(leak) for leak in findings.found]
    columns = ("what", "of", "is also in", "items", "for example")
    return PageSection(TITLE, words, columns, rows, _is_grave(findings))


def _is_grave(findings: LeakFindings) -> bool:
    """Whether more than texts, which also repeat by chance, is in two splits."""
    return any(leak.kind != "text" for leak in findings.found)


def _verdict(findings: LeakFindings) -> str:
    if _is_grave(findings):
        return "Something leaks between the splits: the table says what."
    whole = findings.images == findings.of_images and not findings.unchecked
    limit = "" if whole else ", as far as was compared"
    if findings.found:
        return (
            f"No item, group or image is in two splits{limit}, but texts are. Short ones repeat by "
            "chance: look at the examples."
        )
    return f"Nothing leaks between train, val and test{limit}."


def _cells(leak: Leaked) -> list[str]:
    examples = ", ".join(f"{own} = {twin}" for own, twin in leak.examples)
    return [leak.kind, leak.split, leak.also_in, f"{leak.items:,} of {leak.of:,}", examples]
