"""The Open-i chest X-rays as two CSV tables, a repackaging with images of 8 bits."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from crossray.data.sources.layout import Row, numeric, table

REPORTS, PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
IMAGES = ("images_normalized", "images")
_SUFFIXES = (".png", ".dcm")  # images are called 1_IM-0001-4001.dcm.png


def read_reports(reports: Path, projections: Path) -> list[Row]:
    """By number: each report's `number`, `sections`, `terms`, and its `films` as name and view."""
    films: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for cells in table(projections, ("uid", "filename", "projection")):
        films[cells["uid"].strip()].append((cells["filename"].strip(), cells["projection"].strip()))
    columns = ("uid", "MeSH", "findings", "impression")
    return [
        {
            "number": uid,
            "sections": {name: cells[name] for name in ("findings", "impression")},
            "terms": cells["MeSH"].split(";"),
            "films": films.get(uid, []),
        }
        for cells in sorted(table(reports, columns), key=lambda cells: numeric(cells["uid"]))
        if (uid := cells["uid"].strip())
    ]


def film_id(number: str, name: str) -> str:
    """The image's id in the official layout: `CXR1_1_IM-0001-4001`."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return f"CXR{number}_{name}"
