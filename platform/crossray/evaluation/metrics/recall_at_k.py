"""Recall@K of the image-text community: is any match in the top K?"""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, check_cutoff
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.ranking import AnyRanking, Ties, chance_of_hits, per_query


def recall_at_k(
    scores_QN: ArrayLike, relevant_QN: ArrayLike, k: int, ties: Ties = "stable"
) -> Floats:
    r"""Hit rate at K, which image-text retrieval reports as R@K; one value a query.

    $$R@K(q) = \Big[\sum_{r \le K} rel_r \ge 1\Big]$$

    It does not grow with the number of captions found; the fraction of positives found is
    `recall_fraction`. Under `ties="expected"` the value is the probability of a hit: with no
    relevant item before the tie block of rank K, of which $m$ of $n$ items with $r$ relevant stand
    in the top K, it is $1 - \binom{n-r}{m} / \binom{n}{m}$. A query without a relevant item has 0.

    Scores and relevance are [Q, N], larger = better; returns float64 [Q] in [0, 1]. Raises
    CrossRayError for shapes that do not fit, NaN, non-boolean relevance, k < 1, unknown tie rules.
    """
    check_cutoff("k", k)
    return per_query(partial(hit_rate_of, k=k), scores_QN, relevant_QN, ties)


def hit_rate_of(ranking: AnyRanking, k: int) -> Floats:
    """R@K of a ranking, [Q]."""
    cut = ranking.cut(k)
    miss_Q = chance_of_hits(0, cut.size_Q, cut.hits_Q, cut.taken_Q)
    return np.where(cut.before_Q > 0, 1.0, 1.0 - miss_Q)


METRIC = Metric(
    "R", hit_rate_of, "the share of queries with a relevant item in the top K", cutoff="K"
)
