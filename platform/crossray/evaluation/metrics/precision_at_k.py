"""Precision@K: the share of the top K that is relevant."""

from functools import partial

from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, check_cutoff
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.ranking import AnyRanking, Ties, per_query


def precision_at_k(
    scores_QN: ArrayLike, relevant_QN: ArrayLike, k: int, ties: Ties = "stable"
) -> Floats:
    r"""Share of the top K that is relevant; one value a query.

    $$P@K(q) = \frac{1}{K} \sum_{r \le K} rel_r$$

    The denominator stays K when the database is smaller. A query without a relevant item has 0.
    Scores and relevance are [Q, N], larger = better; returns float64 [Q] in [0, 1]. Raises
    CrossRayError for shapes that do not fit, NaN, non-boolean relevance, k < 1, unknown tie rules.
    """
    check_cutoff("k", k)
    return per_query(partial(precision_of, k=k), scores_QN, relevant_QN, ties)


def precision_of(ranking: AnyRanking, k: int) -> Floats:
    """P@K of a ranking, [Q]."""
    return found_of(ranking, k) / k


def found_of(ranking: AnyRanking, k: int) -> Floats:
    r"""(Expected) number of relevant items in the top K, $c + m r / n$ in the block of rank K."""
    cut = ranking.cut(k)
    found_Q: Floats = cut.before_Q + cut.taken_Q * cut.hits_Q / cut.size_Q
    return found_Q


METRIC = Metric(
    "P",
    precision_of,
    "the share of the top K that is relevant",
    relevance="ap_relevance",
    cutoff="K",
)
