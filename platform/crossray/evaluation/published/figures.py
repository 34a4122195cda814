"""The store of published figures: what papers print, with what is needed to read it."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast

PublishedDirection = Literal["image_to_text", "text_to_image", "mean", "image_to_image"]
UNDEFINED = "undefined in paper"


@dataclass(frozen=True)
class PublishedFigure:
    """One cell of a table that a paper prints.

    Attributes:
        value: a fraction in [0, 1]; the lower end where the paper allows no more than an interval.
        high: the upper end of such an interval, else None.
        metric: its name with cut-off and denominator; `undefined in paper` where the paper does not
            say what it divides by.
        relevance: what makes an item relevant, None where the paper does not say.
        data_set: by the name of its importer, where there is one.
        split_sizes: items by role as the paper states them: train, val and test (queries and
            database in one), or train, query and database; empty where it states none.
        direction: `mean` is the mean of both.
        bits: of the codes, None for vectors.
        system: by its name in the table.
        source: paper and table.
        paper: its title.
        note: what a reader must know before believing the value.
        reproduced_here: whether a figure of ours was measured on the same data, split sizes and
            metric; `published_rows` says so.
    """

    value: float
    high: float | None
    metric: str
    relevance: str | None
    data_set: str
    split_sizes: dict[str, int]
    direction: PublishedDirection
    bits: int | None
    system: str
    source: str
    paper: str
    note: str
    reproduced_here: bool = False


@cache
def published_figures() -> tuple[PublishedFigure, ...]:
    """Every figure of the store, in the order of the papers' tables.

    `figures.csv` has a line a cell; `tables.json` what the cells of a table have in common.
    """
    folder = files("crossray.evaluation.published")
    tables = json.loads(folder.joinpath("tables.json").read_text(encoding="utf-8"))
    lines = folder.joinpath("figures.csv").read_text(encoding="utf-8").splitlines()
    return tuple(_figure(cells, tables[cells["table"]]) for cells in csv.DictReader(lines))


def _figure(cells: dict[str, str], table: dict[str, Any]) -> PublishedFigure:
    return PublishedFigure(
        value=float(cells["value"]),
        high=float(cells["high"]) if cells["high"] else None,
        metric=cells["metric"],
        relevance=table["relevance"],
        data_set=cells["data_set"],
        split_sizes=table["split_sizes"][cells["data_set"]],
        direction=cast(PublishedDirection, cells["direction"]),
        bits=int(cells["bits"]) if cells["bits"] else None,
        system=cells["system"],
        source=table["source"],
        paper=table["paper"],
        note="; ".join(filter(None, (cells["note"], table["note"]))),
    )
