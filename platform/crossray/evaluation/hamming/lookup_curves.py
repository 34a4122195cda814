"""What the Hamming distances of codes return: lookup by radius, and the first N of the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossray.evaluation.hamming.counts import HammingCounts
from crossray.evaluation.hamming.radius import RadiusCurve, hamming_radius_curve
from crossray.evaluation.hamming.top_n import hamming_top_n_precision
from crossray.evaluation.metrics.arrays import Bools, Floats

TOP_N = 1000


@dataclass(frozen=True)
class LookupCurves:
    """Means over the queries, relevant is every item with a label in common.

    `radius` has one value a radius from 0 to the number of bits, `top_n_R` the precision of the
    first 1, 2, ... items, at most 1000 and the database. `precision_at_random` is that of any
    number of items drawn at random.
    """

    radius: RadiusCurve
    top_n_R: Floats
    precision_at_random: float


def lookup_curves(counts: HammingCounts, judged_Q: Bools) -> LookupCurves:
    """Return the curves of the queries that are judged."""
    judged = counts.take(judged_Q)
    items_Q = judged.items_QD.sum(axis=1)
    n = min(TOP_N, int(items_Q.max()))
    return LookupCurves(
        radius=hamming_radius_curve(judged),
        top_n_R=hamming_top_n_precision(judged, n).mean(axis=0),
        precision_at_random=float(np.mean(judged.relevant_Q / items_Q)),
    )


def counts_of_others(counts: HammingCounts, labelled_Q: Bools) -> HammingCounts:
    """Take each query out of the database that it is an item of: at distance 0, its own match."""
    items_QD, relevant_QD = counts.items_QD.copy(), counts.relevant_QD.copy()
    items_QD[:, 0] -= 1
    relevant_QD[:, 0] -= labelled_Q
    return HammingCounts(items_QD, relevant_QD)
