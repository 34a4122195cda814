"""Cumulative match characteristic: the hit rate at every rank."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, check_cutoff
from crossray.evaluation.metrics.hypergeometric import chance_of_hits
from crossray.evaluation.metrics.ranking import Ranking, Ties, per_query


def cmc(
    scores_QN: ArrayLike, relevant_QN: ArrayLike, depth: int | None = None, ties: Ties = "stable"
) -> Floats:
    r"""Is the best positive among the first k, for every k up to `depth`; one row a query.

    $$CMC(k) = \frac{1}{|Q|} \sum_q [rank_q \le k]$$

    The curve is the mean of the rows; column k - 1 is `recall_at_k` at k, under `ties="expected"`
    the probability of a hit. A query without a relevant item has 0 everywhere.

    Scores and relevance are [Q, N], larger = better; returns float64 [Q, min(depth, N)] in [0, 1],
    by default over the whole database. Raises CrossRayError for shapes that do not fit, NaN,
    non-boolean relevance, depth < 1 and unknown tie rules.
    """
    if depth is not None:
        check_cutoff("the depth", depth)
    return per_query(partial(cmc_of, depth=depth), scores_QN, relevant_QN, ties)


def cmc_of(ranking: Ranking, depth: int | None = None) -> Floats:
    """Hit rate of a ranking at each of the first `depth` ranks, [Q, depth]."""
    depth = min(depth or ranking.items, ranking.items)
    rank_R = np.arange(1, depth + 1)
    hits_QR, before_QR = ranking.hits_QN[:, :depth], ranking.before_QN[:, :depth]
    rate_QR = (before_QR > 0).astype(np.float64)
    # Only in the first block with a relevant item is a hit a matter of chance.
    first_QR = (before_QR == 0) & (hits_QR > 0)
    taken_F = (rank_R - ranking.start_QN[:, :depth])[first_QR]
    size_F, hits_F = ranking.size_QN[:, :depth][first_QR], hits_QR[first_QR]
    rate_QR[first_QR] = 1.0 - chance_of_hits(0, size_F, hits_F, taken_F)
    return rate_QR
