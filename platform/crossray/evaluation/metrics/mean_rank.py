"""Rank of the best positive, whose mean over the queries is the reported mean rank."""

from __future__ import annotations

from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats
from crossray.evaluation.metrics.median_rank import first_relevant_rank
from crossray.evaluation.metrics.ranking import Ties


def mean_rank(scores_QN: ArrayLike, relevant_QN: ArrayLike, ties: Ties = "stable") -> Floats:
    r"""What the headline "MeanR" is the mean of: the rank of the best positive of each query.

    $$MeanR = \frac{1}{|Q|} \sum_q \min\{r : rel_r = 1\}$$

    The headline is `mean_over_queries` of it. Arguments, values and errors are those of
    `first_relevant_rank`.
    """
    return first_relevant_rank(scores_QN, relevant_QN, ties)
