"""Precision of the first N items of a Hamming ranking, for every N."""

from __future__ import annotations

import numpy as np

from crossray.evaluation.hamming.counts import HammingCounts
from crossray.evaluation.metrics.arrays import Floats, check_cutoff


def hamming_top_n_precision(counts: HammingCounts, n: int = 1000) -> Floats:
    r"""Share of the top N that is relevant, for N = 1 to `n`; one row a query.

    $$P@N(q) = \frac{1}{N} \sum_{r \le N} rel_r$$

    It is the expectation over the random order of equal distances, `precision_at_k` under
    `ties="expected"`: within the items of one distance the number found grows evenly. The
    denominator stays N when the database is smaller. Returns float64 [Q, n] in [0, 1]. Raises
    CrossRayError for n < 1.
    """
    check_cutoff("n", n)
    rank_R = np.arange(1, n + 1)
    returned_QD = np.cumsum(counts.items_QD, axis=1)
    found_QD = np.cumsum(counts.relevant_QD, axis=1)
    precision_QR = np.empty((len(returned_QD), n))
    for query, (returned_D, found_D) in enumerate(zip(returned_QD, found_QD, strict=True)):
        found_R = np.interp(rank_R, np.append(0, returned_D), np.append(0, found_D))
        precision_QR[query] = found_R / rank_R
    return precision_QR
