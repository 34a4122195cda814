"""Findings of a data set that have a box, each with the text that states it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossray.core.artifacts import Artifact
from crossray.data.corpora.corpus import paired_rows
from crossray.data.report_labels.report import read_sentences
from crossray.data.report_labels.sentence import sentence_findings
from crossray.data.schema import iter_pairs
from crossray.data.split import Split
from crossray.data.transforms import decode_image
from crossray.explain.visible_area import inside_boxes

_COLUMNS = ("group_id", "image", "texts", "sections", "boxes")


@dataclass(frozen=True)
class Case:
    """A finding of an item.

    Attributes:
        label: of its boxes.
        group: of the item, such as its patient.
        image: encoded.
        text: sentences; those about the finding, or all of the report.
        rest: the report without what it says of the finding, where `text` is all of it.
        inside_YX: how far each cell of the seen square lies in the boxes.
    """

    label: str
    group: str
    image: bytes
    text: list[str]
    rest: list[str]
    inside_YX: NDArray[np.float64]


def boxed_items(pairs: Artifact, split: Split) -> Counter[str]:
    """How many items of the split have a box of each label."""
    counts: Counter[str] = Counter()
    for table in iter_pairs(pairs, ("boxes",), split):
        for boxes in table["boxes"].to_pylist():
            counts.update({box["label"] for box in boxes})
    return counts


def finding_cases(
    pairs: Artifact, split: Split, most: int, in_report: bool, side: int
) -> Iterator[Case]:
    """Cases in the order of the data, at most `most` a label.

    What is said of a finding is what the rule labeller reads as stating it; where there is nothing,
    and for labels that it does not know, the label itself. With `in_report` the text is the full
    report, and an item whose report says nothing else is left out.

    Args:
        pairs: with boxes; a label without any is not a case, nor is a box outside the seen square.
        split: of them.
        most: cases a label.
        in_report: give the full report.
        side: rows and columns of `inside_YX`.
    """
    counts: Counter[str] = Counter()
    for table in iter_pairs(pairs, _COLUMNS, split):
        for row in paired_rows(table).to_pylist():
            wanted = [
                label
                for label in dict.fromkeys(box["label"] for box in row["boxes"])
                if counts[label] < most
            ]
            if not wanted:
                continue
            height, width = decode_image(row["image"]).shape[1:]
            for label in wanted:
                boxes = [box for box in row["boxes"] if box["label"] == label]
                inside_YX = inside_boxes(boxes, height, width, side)
                text, rest = _texts(row, label, in_report)
                if inside_YX.any() and (rest or not in_report):
                    counts[label] += 1
                    yield Case(label, row["group_id"], row["image"], text, rest, inside_YX)


def _texts(row: dict[str, Any], label: str, in_report: bool) -> tuple[list[str], list[str]]:
    report = read_sentences(row["texts"], row["sections"])
    stated = [text for text in report if sentence_findings(text).get(label) == "positive"]
    said = list(dict.fromkeys(stated)) or [label.replace("/", " ").lower()]
    rest = [text for text in report if text not in stated]
    if not in_report:
        return said, rest
    return (report if stated else [*report, *said]), rest
