"""Our figures and the published ones of the same row."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossray.evaluation.published.figures import UNDEFINED, PublishedFigure, published_figures

_METRIC = re.compile(rf"(\w+)@(\w+)(?:\[(found|total|min|{UNDEFINED})\])?")
# The importers' names; a split may make another data set of the same files.
_VARIANTS = {("nus-wide", "10k"): "nus-wide-10k"}


@dataclass(frozen=True)
class MeasuredOn:
    """What our figures were measured on.

    Attributes:
        data_set: by the name of its importer.
        splits: items by split.
        bits: of the codes that were ranked, None for vectors.
    """

    data_set: str
    splits: Mapping[str, int]
    bits: int | None = None

    @classmethod
    def pairs(
        cls, config: Mapping[str, Any], splits: Mapping[str, int], bits: int | None
    ) -> "MeasuredOn":
        """From the configuration of a pairs artifact."""
        source = str(config.get("source", ""))
        return cls(_VARIANTS.get((source, str(config.get("split"))), source), splits, bits)


@dataclass(frozen=True)
class PublishedRow:
    """A published figure, ours of the same row, and what keeps the two from being comparable."""

    published: PublishedFigure
    metric: str
    value: float
    differs: tuple[str, ...]


def published_rows(
    report: Mapping[str, Any],
    measured: MeasuredOn,
    figures: Iterable[PublishedFigure] | None = None,
) -> list[PublishedRow]:
    """The published figures for which a report has one of the same data set, direction and family.

    A recall needs the same K; for an mAP at another cut-off ours over the database stands in.
    Codes are compared with codes of as many bits only, vectors with all. `reproduced_here` of a
    figure is true when nothing differs: sizes, metric with its denominator, relevance and bits.
    `report` is the content of `report.json`.
    """
    rows = []
    for figure in published_figures() if figures is None else figures:
        ours = report["metrics"].get(figure.direction)
        if ours is None or figure.data_set != measured.data_set:
            continue
        if None not in (figure.bits, measured.bits) and figure.bits != measured.bits:
            continue
        metric = _same_row(figure.metric, list(report["intervals"][figure.direction]))
        if metric is not None:
            differs = tuple(_differences(figure, metric, report, measured))
            flagged = replace(figure, reproduced_here=not differs)
            rows.append(PublishedRow(flagged, metric, ours[metric], differs))
    return rows


def _same_row(published: str, ours: list[str]) -> str | None:
    """Our metric to compare with a published one."""
    if published in ours:
        return published
    family, cutoff, _ = _parts(published)
    plain = [name for name in ours if _METRIC.fullmatch(name)]  # mAP@all[rare] is another family
    same_cutoff = (name for name in plain if _parts(name)[:2] == (family, cutoff))
    return next(same_cutoff, "mAP@all" if family == "mAP" and "mAP@all" in plain else None)


def _parts(name: str) -> tuple[str, str, str | None]:
    """Family, cut-off and denominator."""
    match = _METRIC.fullmatch(name)
    assert match, name
    return match[1], match[2], match[3]


def _differences(
    figure: PublishedFigure, metric: str, report: Mapping[str, Any], measured: MeasuredOn
) -> Iterable[str]:
    family, _, denominator = _parts(figure.metric)
    if figure.metric != metric:
        undefined = denominator == UNDEFINED
        yield f"metric {UNDEFINED}" if undefined else f"metric: {figure.metric}"
    relevance = report["protocol"]["ap_relevance" if family == "mAP" else "relevance"]
    # Where every item has one label, sharing a label and being of one class are the same.
    same_class = (figure.relevance, relevance) == ("same_class", "share_label")
    if figure.relevance != relevance and not same_class:
        yield f"relevance: {figure.relevance}" if figure.relevance else f"relevance {UNDEFINED}"
    here = _sizes(figure.direction, report, measured)
    others = {r: size for r, size in figure.split_sizes.items() if here.get(r) != {size}}
    if others:
        yield "sizes: " + ", ".join(f"{role} {size:,}" for role, size in others.items())
    elif not figure.split_sizes:
        yield f"split {UNDEFINED}"
    if figure.bits != measured.bits:
        yield "vectors" if figure.bits is None else f"codes of {figure.bits} bits"


def _sizes(direction: str, report: Mapping[str, Any], measured: MeasuredOn) -> dict[str, set[int]]:
    """What was counted here for each role that a paper may state."""
    counts = report["counts"]
    # The mean of both directions has no separate queries.
    parts = [direction] if direction in counts else ["image_to_text", "text_to_image"]
    queries = {counts[part]["queries"] for part in parts}
    # Where a query is left out of the database, the test set has one item more.
    left_out = int(report["protocol"].get("leave_one_out", False))
    items = {counts[part]["items"] + left_out for part in parts}
    here = {role: {size} for role, size in measured.splits.items()}
    return {**here, "query": queries, "database": items, "test": queries | items}
