"""Rank of the best positive: its median and its mean over the queries are the reported ranks."""

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.ranking import AnyRanking, Ties, per_query

MEDIAN_RANK = "median_rank"


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


def first_rank_of(ranking: AnyRanking) -> Floats:
    """Rank of the best positive in a ranking, [Q]."""
    start_Q, size_Q, hits_Q = ranking.first_relevant()
    rank_Q = start_Q + (size_Q + 1) / (hits_Q + 1)
    return np.where(ranking.relevant_Q > 0, rank_Q, np.nan)


MEDIAN = Metric(
    MEDIAN_RANK,
    first_rank_of,
    "the median over the queries of the rank of the best relevant item",
    unit="rank",
    statistic="median",
)
MEAN = Metric(
    "mean_rank",
    first_rank_of,
    "the mean over the queries of the rank of the best relevant item",
    unit="rank",
)
