"""Normalised discounted cumulative gain, for relevance that has degrees."""

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import arrays
from crossray.evaluation.metrics.arrays import Floats, Ints
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.ranking import Order, Ties, order


def ndcg(
    scores_QN: ArrayLike, gains_QN: ArrayLike, k: int | None = None, ties: Ties = "stable"
) -> Floats:
    r"""NDCG of the first k ranks; one value a query, NaN without an item of positive gain.

    $$NDCG@k(q) = \frac{DCG@k}{IDCG@k}, \qquad DCG@k = \sum_{r=1}^{k} \frac{g_r}{\log_2(r + 1)}$$

    (Järvelin & Kekäläinen 2002), where IDCG is the DCG of the items in the order of their gains;
    k is all ranks by default. Gains count as they are, for instance the labels in common
    (`graded`); pass `2**gains - 1` for the exponential form. Under `ties="expected"` each item of a
    tie block has the block's mean gain, which is the exact expectation.

    Scores [Q, N] are larger = better, gains [Q, N] integers of at least 0; returns float64 [Q]
    in [0, 1]. Raises CrossRayError for shapes that do not fit, NaN, other gains, k < 1 and unknown
    tie rules.
    """
    if k is not None:
        arrays.check_cutoff("k", k)
    scores, gains = np.asarray(scores_QN), np.asarray(gains_QN)
    arrays.check_same_shape(scores, gains)
    counted = gains.dtype.kind in "iub" and gains.ndim == 2 and gains.size > 0
    if not counted or gains.min() < 0:
        raise CrossRayError(
            f"the gains must be whole numbers of at least 0 [queries, items], not {gains.dtype} of "
            f"shape {gains.shape}, or hold a negative one: count, for instance, the labels in "
            f"common."
        )
    return np.concatenate(
        [
            ndcg_of(order(scores[rows], ties), gains[rows].astype(np.int64), k)
            for rows in arrays.row_blocks(*scores.shape)
        ]
    )


def ndcg_of(ordered: Order, gains_QN: Ints, k: int | None = None) -> Floats:
    """NDCG of an order, [Q]."""
    discount_R = _discounts(gains_QN, k)
    depth = len(discount_R)
    through_QM = np.zeros((len(gains_QN), gains_QN.shape[1] + 1), np.int64)
    np.cumsum(np.take_along_axis(gains_QN, ordered.item_QN, axis=1), axis=1, out=through_QM[:, 1:])
    start_QR, size_QR = ordered.start_QN[:, :depth], ordered.size_QN[:, :depth]
    block_QR = np.take_along_axis(through_QM, start_QR + size_QR, axis=1)
    block_QR -= np.take_along_axis(through_QM, start_QR, axis=1)
    value_Q: Floats = (block_QR / size_QR) @ discount_R / _ideal(gains_QN, discount_R)
    return value_Q


def ndcg_at_random(gains_QN: Ints, k: int | None = None) -> Floats:
    """Expected NDCG under a uniformly random order, where every rank has the mean gain; [Q]."""
    discount_R = _discounts(gains_QN, k)
    value_Q: Floats = gains_QN.mean(axis=1) * discount_R.sum() / _ideal(gains_QN, discount_R)
    return value_Q


def _discounts(gains_QN: Ints, k: int | None) -> Floats:
    depth = min(k or gains_QN.shape[1], gains_QN.shape[1])
    discount_R: Floats = 1 / np.log2(np.arange(2, depth + 2))
    return discount_R


def _ideal(gains_QN: Ints, discount_R: Floats) -> Floats:
    """DCG of the best order, [Q]; NaN where no item has a gain."""
    best_QR = -np.sort(-gains_QN, axis=1)[:, : len(discount_R)]
    ideal_Q: Floats = best_QR @ discount_R
    return np.where(ideal_Q > 0, ideal_Q, np.nan)


METRIC = Metric(
    "NDCG",
    ndcg_of,
    "discounted by log2(rank + 1), as a share of the best order's",
    relevance="ap_relevance",
    cutoff="K",
    variants={"graded": "an item's gain is the number of labels in common"},
    chance=ndcg_at_random,
)
