"""Rank of the best positive, whose median over the queries is the reported median rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats
from crossray.evaluation.metrics.ranking import Ranking, Ties, per_query


def first_relevant_rank(
    scores_QN: ArrayLike, relevant_QN: ArrayLike, ties: Ties = "stable"
) -> Floats:
    r"""Rank of the best positive, from 1; one value a query, NaN without a relevant item.

    $$rank(q) = \min\{r : rel_r = 1\}$$

    Under `ties="expected"`, with $s$ items before the first tie block that holds a relevant item
    and $r$ relevant among its $n$, the expected rank is $s + (n + 1) / (r + 1)$.

    Scores and relevance are [Q, N], larger = better; returns float64 [Q] in [1, N]. Raises
    CrossRayError for shapes that do not fit, NaN, non-boolean relevance and unknown tie rules.
    """
    return per_query(first_rank_of, scores_QN, relevant_QN, ties)


def median_rank(scores_QN: ArrayLike, relevant_QN: ArrayLike, ties: Ties = "stable") -> Floats:
    r"""What the headline "MedR" is the median of: the rank of the best positive of each query.

    $$MedR = \operatorname{median}_q \; \min\{r : rel_r = 1\}$$

    Like every metric of this package it returns one value a query, so that systems can be compared
    query by query; the headline is `np.nanmedian` of it. Arguments, values and errors are those of
    `first_relevant_rank`.
    """
    return first_relevant_rank(scores_QN, relevant_QN, ties)


def first_rank_of(ranking: Ranking) -> Floats:
    """Rank of the best positive in a ranking, [Q]."""
    first_Q = np.argmax(ranking.hits_QN > 0, axis=1)
    row_Q = np.arange(len(first_Q))
    size_Q, hits_Q = ranking.size_QN[row_Q, first_Q], ranking.hits_QN[row_Q, first_Q]
    rank_Q = ranking.start_QN[row_Q, first_Q] + (size_Q + 1) / (hits_Q + 1)
    return np.where(ranking.relevant_Q > 0, rank_Q, np.nan)
