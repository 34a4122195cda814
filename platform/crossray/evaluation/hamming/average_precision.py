"""Average precision of Hamming ranking over a database, without sorting where possible."""

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.hamming.counts import count_pairs
from crossray.evaluation.hamming.pairs import Distances, pair_up
from crossray.evaluation.metrics.arrays import Bools, Floats, check_choice
from crossray.evaluation.metrics.average_precision import average_precision_of
from crossray.evaluation.metrics.ranking import TIES, Ties


def hamming_average_precision(
    query_codes_QY: ArrayLike,
    item_codes_NY: ArrayLike,
    query_labels_QC: ArrayLike,
    item_labels_NC: ArrayLike,
    ties: Ties = "expected",
) -> Floats:
    r"""Average precision by Hamming distance; one value a query, NaN without a relevant item.

    $$AP(q) = \frac{1}{N_{rel}} \sum_{r=1}^{N} P@r \cdot rel_r$$

    Relevant are the items with a label in common. The values are those of `average_precision` of
    the negative distances, but the scores [Q, N] never exist: `expected` follows from the counts at
    each distance, and `stable` (order by distance, then database
    index) needs a counting sort. Codes are packed, eight bits a byte, Y = K / 8; labels are boolean
    over one vocabulary.

    Returns float64 [Q] in [0, 1]. Raises CrossRayError for codes that are no bytes or of two
    lengths, labels that are not boolean or of two vocabularies, rows that do not fit, an unknown
    tie rule, and when there is no query or no item.
    """
    check_choice("the tie rule", ties, TIES)
    pairs = pair_up(query_codes_QY, item_codes_NY, query_labels_QC, item_labels_NC)
    if ties == "expected":
        return average_precision_of(count_pairs(pairs))
    ap_Q: Floats = pairs.map(_stable)
    return ap_Q


def _stable(distance_BN: Distances, relevant_BN: Bools) -> Floats:
    """Average precision of the order by (distance, database index), [B]."""
    ap_B = np.full(len(distance_BN), np.nan)
    for query, (distance_N, relevant_N) in enumerate(zip(distance_BN, relevant_BN, strict=True)):
        # NumPy's stable sort of 8 and 16 bits counts the keys, byte by byte.
        ranked_N = relevant_N[np.argsort(distance_N, kind="stable")]
        rank_R = np.flatnonzero(ranked_N) + 1
        if rank_R.size:
            ap_B[query] = (np.arange(1, rank_R.size + 1) / rank_R).mean()
    return ap_B
