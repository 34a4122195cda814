"""Recall in the sense of information retrieval: the fraction of the positives found."""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, check_cutoff
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.precision_at_k import found_of
from crossray.evaluation.metrics.ranking import AnyRanking, Ties, per_query


def recall_fraction(
    scores_QN: ArrayLike, relevant_QN: ArrayLike, k: int, ties: Ties = "stable"
) -> Floats:
    r"""Fraction of the relevant items in the top K; one value a query, NaN without a relevant item.

    $$\frac{1}{N_{rel}} \sum_{r \le K} rel_r$$

    Scores and relevance are [Q, N], larger = better; returns float64 [Q] in [0, 1]. Raises
    CrossRayError for shapes that do not fit, NaN, non-boolean relevance, k < 1, unknown tie rules.
    """
    check_cutoff("k", k)
    return per_query(partial(recall_fraction_of, k=k), scores_QN, relevant_QN, ties)


def recall_fraction_of(ranking: AnyRanking, k: int) -> Floats:
    """Fraction of the relevant items in the top K of a ranking, [Q]."""
    return found_of(ranking, k) / np.where(ranking.relevant_Q > 0, ranking.relevant_Q, np.nan)


METRIC = Metric(
    "recall_fraction",
    recall_fraction_of,
    "the share of the relevant items that is in the top K",
    relevance="ap_relevance",
    cutoff="K",
)
