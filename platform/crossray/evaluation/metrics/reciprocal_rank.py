"""Reciprocal rank of the best positive, whose mean over the queries is the reported MRR."""

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.ranking import AnyRanking, Ties, per_query


def reciprocal_rank(scores_QN: ArrayLike, relevant_QN: ArrayLike, ties: Ties = "stable") -> Floats:
    r"""Reciprocal rank of the best positive; one value a query, NaN without a relevant item.

    $$RR(q) = 1 / \min\{r : rel_r = 1\}$$

    (Voorhees 1999). Under `ties="expected"`, with $s$ items before the first tie block that holds a
    relevant item and $r$ relevant among its $n$, the value is
    $\sum_{j=1}^{n-r+1} \frac{1}{s+j} \binom{n-j}{r-1} / \binom{n}{r}$.

    Scores and relevance are [Q, N], larger = better; returns float64 [Q] in (0, 1]. Raises
    CrossRayError for shapes that do not fit, NaN, non-boolean relevance and unknown tie rules.
    """
    return per_query(reciprocal_rank_of, scores_QN, relevant_QN, ties)


def reciprocal_rank_of(ranking: AnyRanking) -> Floats:
    """Reciprocal rank of the best positive in a ranking, [Q]."""
    block_Q3 = np.stack(ranking.first_relevant(), axis=1)
    block_Q3[ranking.relevant_Q == 0] = 0
    block_U3, of_Q = np.unique(block_Q3, axis=0, return_inverse=True)
    return np.array([_expected(*block) for block in block_U3.tolist()])[of_Q]


def _expected(start: int, size: int, hits: int) -> float:
    """Expected reciprocal rank of the first of `hits` relevant items in a block of `size`."""
    if hits == 0:
        return np.nan
    j_J = np.arange(1, size - hits + 2)
    # The chance that the first one stands at j, from that of the place before.
    fewer_J = (size - hits + 1 - j_J[:-1]) / (size - j_J[:-1])
    chance_J = hits / size * np.cumprod(np.append(1.0, fewer_J))
    return float(chance_J @ (1 / (start + j_J)))


METRIC = Metric(
    "MRR",
    reciprocal_rank_of,
    "the mean over the queries of 1 / the rank of the best relevant item",
)
