"""Curves as `report.json` has them."""

from __future__ import annotations

import numpy as np

from crossray.evaluation.evaluate import DirectionResult
from crossray.evaluation.hamming.lookup import LookupCurves
from crossray.evaluation.metrics.arrays import Floats

Numbers = dict[str, list[float | None]]


def curves_to_json(result: DirectionResult) -> dict[str, list[float | None] | Numbers]:
    """The values at each `k`, and where codes were ranked, those by `radius` and of the `top_n`."""
    curves = result.curves
    values: dict[str, list[float | None] | Numbers] = {
        "k": [int(k) for k in curves.k],
        "hit_rate": _list(curves.hit_rate),
        "hit_rate_at_random": _list(curves.hit_rate_at_random),
        "precision": _list(curves.precision),
        "recall": _list(curves.recall),
    }
    if result.lookup:
        values |= {"radius": _radius(result.lookup), "top_n": _list(result.lookup.top_n_R)}
    return values


def _radius(lookup: LookupCurves) -> Numbers:
    """One value a radius from 0; no precision where no query returned an item."""
    return {
        "precision": _list(lookup.radius.precision_D),
        "recall": _list(lookup.radius.recall_D),
        "queries_without_item": [int(count) for count in lookup.radius.empty_D],
    }


def _list(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
