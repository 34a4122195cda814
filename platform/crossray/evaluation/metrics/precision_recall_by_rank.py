"""Precision and recall at every rank: the precision-recall curve of a ranking."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, check_cutoff
from crossray.evaluation.metrics.ranking import Ranking, Ties, per_query


def precision_recall_by_rank(
    scores_QN: ArrayLike, relevant_QN: ArrayLike, depth: int | None = None, ties: Ties = "stable"
) -> tuple[Floats, Floats]:
    r"""Precision and recall of the first k, for every k up to `depth`; one row a query.

    $$P(k) = \frac{1}{k} \sum_{r \le k} rel_r, \qquad
      R(k) = \frac{1}{N_{rel}} \sum_{r \le k} rel_r$$

    Columns k - 1 are `precision_at_k` and `recall_fraction` at k. Without a relevant item a query
    has the precision 0 and the recall NaN.

    Scores and relevance are [Q, N], larger = better; returns two float64 [Q, min(depth, N)] in
    [0, 1], by default over the whole database. Raises CrossRayError for shapes that do not fit,
    NaN, non-boolean relevance, depth < 1 and unknown tie rules.
    """
    if depth is not None:
        check_cutoff("the depth", depth)
    both_Q2R = per_query(partial(precision_recall_of, depth=depth), scores_QN, relevant_QN, ties)
    return both_Q2R[:, 0], both_Q2R[:, 1]


def precision_recall_of(ranking: Ranking, depth: int | None = None) -> Floats:
    """Precision and recall of a ranking at each of the first `depth` ranks, [Q, 2, depth]."""
    depth = min(depth or ranking.items, ranking.items)
    rank_R = np.arange(1, depth + 1)
    share_QR = ranking.hits_QN[:, :depth] / ranking.size_QN[:, :depth]
    taken_QR = rank_R - ranking.start_QN[:, :depth]
    found_QR = ranking.before_QN[:, :depth] + taken_QR * share_QR
    relevant_Q = np.where(ranking.relevant_Q > 0, ranking.relevant_Q, np.nan)
    return np.stack([found_QR / rank_R, found_QR / relevant_Q[:, None]], axis=1)
