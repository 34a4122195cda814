"""What the Hamming distances of codes return: lookup by radius, and the first N of the ranking."""

from dataclasses import dataclass

import numpy as np

from crossray.evaluation.metrics.arrays import Bools, Floats, Ints, check_cutoff
from crossray.evaluation.metrics.ranking import CountedRanking

TOP_N = 1000


@dataclass(frozen=True)
class RadiusCurve:
    """Means over the queries at the radii 0 to K, each [K + 1].

    `precision` averages the queries that returned an item, NaN where none did; `recall` averages
    all queries; `empty` counts the queries that returned nothing.
    """

    precision_D: Floats
    recall_D: Floats
    empty_D: Ints


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


def lookup_curves(counts: CountedRanking, judged_Q: Bools) -> LookupCurves:
    """Return the curves of the queries that are judged."""
    judged = counts.take(judged_Q)
    items_Q = judged.through_QD[:, -1]
    n = min(TOP_N, int(items_Q.max()))
    return LookupCurves(
        radius=hamming_radius_curve(judged),
        top_n_R=hamming_top_n_precision(judged, n).mean(axis=0),
        precision_at_random=float(np.mean(judged.relevant_Q / items_Q)),
    )


def counts_of_others(counts: CountedRanking, labelled_Q: Bools) -> CountedRanking:
    """Take each query out of the database that it is an item of: at distance 0."""
    items_QD, relevant_QD = counts.items_QD.copy(), counts.relevant_QD.copy()
    items_QD[:, 0] -= 1
    relevant_QD[:, 0] -= labelled_Q
    return CountedRanking(items_QD, relevant_QD)


def hamming_radius_curve(counts: CountedRanking) -> RadiusCurve:
    r"""Precision and recall of the items within each Hamming radius.

    $$P_d(q) = \frac{\sum_{e \le d} r_e}{\sum_{e \le d} n_e}, \qquad
      R_d(q) = \frac{\sum_{e \le d} r_e}{N_{rel}}$$

    with $n_e$ items and $r_e$ relevant ones at distance $e$. A query without a relevant item has
    the recall 0. Ties do not matter: a radius takes all items of a distance.
    """
    returned_QD, found_QD = counts.through_QD, counts.found_QD
    some_D = (returned_QD > 0).sum(axis=0)
    precision_D = (found_QD / np.maximum(returned_QD, 1)).sum(axis=0)
    return RadiusCurve(
        precision_D=precision_D / np.where(some_D > 0, some_D, np.nan),
        recall_D=(found_QD / np.maximum(found_QD[:, -1:], 1)).mean(axis=0),
        empty_D=len(returned_QD) - some_D,
    )


def hamming_top_n_precision(counts: CountedRanking, n: int = 1000) -> Floats:
    r"""Share of the top N that is relevant, for N = 1 to `n`; one row a query.

    $$P@N(q) = \frac{1}{N} \sum_{r \le N} rel_r$$

    It is the expectation over the random order of equal distances, `precision_at_k` under
    `ties="expected"`: within the items of one distance the number found grows evenly. The
    denominator stays N when the database is smaller. Returns float64 [Q, n] in [0, 1]. Raises
    CrossRayError for n < 1.
    """
    check_cutoff("n", n)
    rank_R = np.arange(1, n + 1)
    returned_QD, found_QD = counts.through_QD, counts.found_QD
    precision_QR = np.empty((len(returned_QD), n))
    for query, (returned_D, found_D) in enumerate(zip(returned_QD, found_QD, strict=True)):
        found_R = np.interp(rank_R, np.append(0, returned_D), np.append(0, found_D))
        precision_QR[query] = found_R / rank_R
    return precision_QR
