"""Acc-K of data with one class an item: is an item of the query's class in the top K?"""

from __future__ import annotations

from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats
from crossray.evaluation.metrics.ranking import Ties
from crossray.evaluation.metrics.recall_at_k import recall_at_k
from crossray.evaluation.metrics.relevance import same_class


def accuracy_at_k(
    scores_QN: ArrayLike,
    query_classes_Q: ArrayLike,
    item_classes_N: ArrayLike,
    k: int,
    ties: Ties = "stable",
) -> Floats:
    r"""Acc-K: the top K holds an item of the query's single class; one value a query.

    $$Acc_K(q) = \Big[\sum_{r \le K} [y_r = y_q] \ge 1\Big]$$

    It is `recall_at_k` under the rule `same_class`: nothing is voted on. A query whose class no
    item has is 0. Scores are [Q, N], larger = better; classes are names or numbers; returns
    float64 [Q] in [0, 1]. Raises CrossRayError as `recall_at_k` and `same_class` do.
    """
    return recall_at_k(scores_QN, same_class(query_classes_Q, item_classes_N), k, ties)
