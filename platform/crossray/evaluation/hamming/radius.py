"""Precision and recall of hash lookup: what lies within a Hamming radius of the query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossray.evaluation.hamming.counts import HammingCounts
from crossray.evaluation.metrics.arrays import Floats, Ints


@dataclass(frozen=True)
class RadiusCurve:
    """Means over the queries at the radii 0 to K, each [K + 1].

    `precision` averages the queries that returned an item, NaN where none did; `recall` averages
    all queries; `empty` counts the queries that returned nothing.
    """

    precision_D: Floats
    recall_D: Floats
    empty_D: Ints


def hamming_radius_curve(counts: HammingCounts) -> RadiusCurve:
    r"""Precision and recall of the items within each Hamming radius.

    $$P_d(q) = \frac{\sum_{e \le d} r_e}{\sum_{e \le d} n_e}, \qquad
      R_d(q) = \frac{\sum_{e \le d} r_e}{N_{rel}}$$

    with $n_e$ items and $r_e$ relevant ones at distance $e$. A query without a relevant item has
    the recall 0. Ties do not matter: a radius takes all items of a distance.
    """
    returned_QD = np.cumsum(counts.items_QD, axis=1)
    found_QD = np.cumsum(counts.relevant_QD, axis=1)
    some_D = (returned_QD > 0).sum(axis=0)
    precision_D = (found_QD / np.maximum(returned_QD, 1)).sum(axis=0)
    return RadiusCurve(
        precision_D=precision_D / np.where(some_D > 0, some_D, np.nan),
        recall_D=(found_QD / np.maximum(found_QD[:, -1:], 1)).mean(axis=0),
        empty_D=len(returned_QD) - some_D,
    )
