"""Whether heat maps find what a text describes: their mass inside the boxes of findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.data.split import Split
from crossray.evaluation import confidence_interval, energy_in_box, energy_lift
from crossray.explain.explainer import Explainer
from crossray.explain.finding_cases import Case, boxed_items, finding_cases
from crossray.explain.heat_maps import upsampled

AT_A_TIME = 16


@dataclass(frozen=True)
class FindingLift:
    """What the maps of a finding have in its boxes, as means over the items.

    Attributes:
        label: of the boxes.
        items: how many were looked at.
        boxed: how many of the split have such a box.
        box: share of the picture that the boxes take.
        inside: share of the map's mass that lies in them.
        lift: `inside` over `box`, item by item; 1 for an even map.
        low: the end of the 95 % bootstrap interval of `lift` over groups.
        high: its other end.
        place: `lift` of the mean of all maps of all findings, which knows no text.
        limit: `lift` with all mass inside.
        empty: items whose map is 0 everywhere, which count for nothing but the boxes' share.
    """

    label: str
    items: int
    boxed: int
    box: float
    inside: float
    lift: float
    low: float
    high: float
    place: float
    limit: float
    empty: int


class _Judged(NamedTuple):
    group: str
    box: float
    inside: float
    lift: float


class _Label:
    """What was judged of a label; `even_YX` is what an item's map is weighed with, summed."""

    def __init__(self, side: int) -> None:
        self.judged: list[_Judged] = []
        self.even_YX = np.zeros((side, side))


def check_findings(
    explainer: Explainer,
    pairs: Artifact,
    split: Split,
    most: int,
    in_report: bool = False,
    seed: int = 0,
) -> list[FindingLift]:
    """Judge the heat maps of every label with boxes, the most frequent one of the split first.

    Args:
        explainer: the model.
        pairs: with boxes.
        split: of them.
        most: items a label, in the order of the data.
        in_report: explain what the text about a finding adds to the score of the report; by
            default that text is scored alone.
        seed: of the bootstrap.

    Raises:
        CrossRayError: no item has an image, a text and a box inside of what the model sees.
    """
    if most < 1:
        raise CrossRayError(f"{most} items a finding show nothing; look at 1 or more.")
    labels: defaultdict[str, _Label] = defaultdict(lambda: _Label(explainer.side))
    sum_YX = np.zeros((explainer.side, explainer.side))
    for block in _blocks(finding_cases(pairs, split, most, in_report, explainer.side)):
        maps_BYX = _maps(explainer, block, in_report)
        inside_BYX = np.stack([case.inside_YX for case in block])
        sum_YX += _mass_one(maps_BYX).sum(axis=0)
        values = energy_in_box(maps_BYX, inside_BYX), energy_lift(maps_BYX, inside_BYX)
        for case, inside, lift in zip(block, *values, strict=True):
            box = float(case.inside_YX.mean())
            labels[case.label].judged.append(_Judged(case.group, box, float(inside), float(lift)))
            labels[case.label].even_YX += case.inside_YX / box
    if not labels:
        raise CrossRayError(
            f"no item of the {split} split of {pairs.uri} has an image, a text and a box inside of "
            "what the model sees; give pairs with boxes, such as the phantom's, or another split."
        )
    place_YX = sum_YX / max(sum_YX.sum(), np.finfo(float).tiny)
    boxed = boxed_items(pairs, split)
    found = [_finding(name, labels[name], boxed[name], place_YX, seed) for name in labels]
    return sorted(found, key=lambda one: -one.boxed)


def _blocks(cases: Iterator[Case]) -> Iterator[list[Case]]:
    while block := list(islice(cases, AT_A_TIME)):
        yield block


def _maps(explainer: Explainer, block: Sequence[Case], in_report: bool) -> NDArray[np.float64]:
    rest = [case.rest for case in block] if in_report else None
    images = explainer.images([case.image for case in block])
    maps_BYX = explainer.heat(images, [case.text for case in block], rest)
    fine_BYX: NDArray[np.float64] = upsampled(maps_BYX, explainer.side).double().numpy()
    return fine_BYX


def _mass_one(maps_BYX: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps of mass 1; those that are 0 everywhere stay so."""
    mass_B = maps_BYX.sum(axis=(1, 2))
    ones_BYX: NDArray[np.float64] = maps_BYX / np.where(mass_B > 0, mass_B, 1)[:, None, None]
    return ones_BYX


def _finding(
    name: str, label: _Label, boxed: int, place_YX: NDArray[np.float64], seed: int
) -> FindingLift:
    groups, *columns = zip(*label.judged, strict=True)
    box_B, inside_B, lift_B = (np.array(column) for column in columns)
    low = high = lift = inside = np.nan
    seen_B = ~np.isnan(lift_B)
    if seen_B.any():
        lift, inside = float(lift_B[seen_B].mean()), float(inside_B[seen_B].mean())
        low, high = confidence_interval(lift_B, seed=seed, groups=groups)
    return FindingLift(
        name, len(groups), boxed, float(box_B.mean()), inside, lift, low, high,
        place=float((place_YX * label.even_YX).sum() / len(groups)),
        limit=float((1 / box_B).mean()),
        empty=int((~seen_B).sum()),
    )  # fmt: skip


def findings_table(found: Sequence[FindingLift]) -> Table:
    """The findings for the screen, one line a label."""
    table = Table(title="mass of the heat maps inside the boxes", title_justify="left")
    table.add_column("finding")
    for name in ("items", "box", "inside", "lift", "95 %", "place", "limit", "empty"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            Text(one.label),
            f"{one.items:,} of {one.boxed:,}",
            f"{one.box:.1%}",
            f"{one.inside:.1%}",
            f"{one.lift:.2f}",
            f"{one.low:.2f} .. {one.high:.2f}",
            f"{one.place:.2f}",
            f"{one.limit:.1f}",
            f"{one.empty:,}",
        )
    table.caption = (
        "box: its share of the picture; inside: share of the map's mass in it; lift: one over the "
        "other, 1 for an even map; place: lift of the mean of all maps, which knows no text; "
        "limit: lift with all mass inside; empty: maps that are 0 everywhere."
    )
    table.caption_justify = "left"
    return table
