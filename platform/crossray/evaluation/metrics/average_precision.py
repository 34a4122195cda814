"""Average precision with three denominators, any cut-off and both tie rules."""

from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, check_choice, check_cutoff
from crossray.evaluation.metrics.metric import Metric
from crossray.evaluation.metrics.ranking import (
    AnyRanking,
    CountedRanking,
    Cut,
    Ties,
    chance_of_hits,
    per_query,
)

Denominator = Literal["found", "total", "min"]
DENOMINATORS: tuple[Denominator, ...] = get_args(Denominator)
MAP = "mAP@all"


def average_precision(
    scores_QN: ArrayLike,
    relevant_QN: ArrayLike,
    cutoff: int | None = None,
    denominator: Denominator = "total",
    ties: Ties = "stable",
) -> Floats:
    r"""Average precision of the first R ranks; one value a query, NaN without a relevant item.

    $$AP_R(q) = \frac{1}{Z_q} \sum_{r=1}^{R} P@r \cdot rel_r, \qquad
      Z_q = \begin{cases} \sum_{r \le R} rel_r & \text{found (AP = 0 when nothing is found)} \\
      N_{rel} & \text{total} \\ \min(N_{rel}, R) & \text{min} \end{cases}$$

    R is `cutoff`, by default all ranks, where the three denominators coincide.

    Under `ties="expected"` the value is the exact expectation over the order inside tie blocks.
    The item at position $j$ of a block (see `ranking` for $s, n, r, c$) adds
    $\frac{r}{n} \big(c + 1 + \frac{(j-1)(r-1)}{n-1}\big) / (s+j)$, a sum that may stop anywhere.
    With `found` and a cut-off inside a block the denominator is random too; given the number $h$ of
    relevant items among the $m$ that made the cut the same formula holds with $(h, m)$ for
    $(r, n)$, and $h$ is hypergeometric.

    Scores and relevance are [Q, N], larger = better; returns float64 [Q] in [0, 1]. Raises
    CrossRayError for shapes that do not fit, NaN, non-boolean relevance, a cut-off below 1, an
    unknown denominator or tie rule.
    """
    if cutoff is not None:
        check_cutoff("the cut-off", cutoff)
    check_choice("the denominator", denominator, DENOMINATORS)
    metric = partial(average_precision_of, cutoff=cutoff, denominator=denominator)
    return per_query(metric, scores_QN, relevant_QN, ties)


def average_precision_of(
    ranking: AnyRanking, cutoff: int | None = None, denominator: Denominator = "total"
) -> Floats:
    """Average precision of a ranking, [Q]."""
    depth = min(cutoff or ranking.items, ranking.items)
    if isinstance(ranking, CountedRanking) and depth == ranking.items:
        ap_Q: Floats = _of_counts(ranking)
    elif denominator == "found" and depth < ranking.items:
        ap_Q = _over_found(ranking, depth)
    else:
        most = depth if denominator == "min" else ranking.items
        ap_Q = _terms(ranking, depth).sum(axis=1) / np.clip(ranking.relevant_Q, 1, most)
    ap_Q[ranking.relevant_Q == 0] = np.nan
    return ap_Q


def _terms(ranking: AnyRanking, depth: int) -> Floats:
    """Expected P@r * rel_r at each of the first `depth` positions, [Q, depth]."""
    head = ranking.head(depth)
    rank_R = np.arange(1, depth + 1)
    above = (rank_R - head.start_QN - 1) * (head.hits_QN - 1) / np.maximum(head.size_QN - 1, 1)
    terms: Floats = head.hits_QN / head.size_QN * (head.before_QN + 1 + above) / rank_R
    return terms


def _of_counts(ranking: CountedRanking) -> Floats:
    r"""Expected average precision over the database from the size of each block, [Q].

    A block holds $n$ items, $r$ of them relevant, after $s$ items with $c$
    relevant. With $A = \sum_{j=1}^{n} \frac{1}{s+j} = H_{s+n} - H_s$ its positions add
    $\frac{r}{n} \big( (c+1) A + \frac{r-1}{n-1} (n - (s+1) A) \big)$, the sum of the terms that
    `_terms` gives.
    """
    n_QD, r_QD, through_QD = ranking.items_QD, ranking.relevant_QD, ranking.through_QD
    s_QD, c_QD = through_QD - n_QD, ranking.found_QD - r_QD
    # Far down a large database n - (s + 1) A cancels: harmonic numbers need all digits there are.
    harmonic = np.zeros(int(through_QD[:, -1].max()) + 1, np.longdouble)
    np.cumsum(1 / np.arange(1, len(harmonic), dtype=np.longdouble), out=harmonic[1:])
    a_QD = harmonic[through_QD] - harmonic[s_QD]
    within_QD = (r_QD - 1) / np.maximum(n_QD - 1, 1) * (n_QD - (s_QD + 1) * a_QD)
    terms_QD = r_QD / np.maximum(n_QD, 1) * ((c_QD + 1) * a_QD + within_QD)
    ap_Q: Floats = terms_QD.sum(axis=1) / np.maximum(ranking.relevant_Q, 1)
    return ap_Q.astype(np.float64)


def _over_found(ranking: AnyRanking, depth: int) -> Floats:
    """Expected AP over the relevant items found; [Q], 0 where nothing can be found."""
    cut = ranking.cut(depth)
    terms_QR = _terms(ranking, depth)
    ap_Q: Floats = terms_QR.sum(axis=1) / np.maximum(cut.before_Q + cut.hits_Q, 1)
    split_Q = np.flatnonzero(cut.taken_Q < cut.size_Q)
    if split_Q.size:
        part = Cut(
            cut.taken_Q[split_Q], cut.size_Q[split_Q], cut.hits_Q[split_Q], cut.before_Q[split_Q]
        )
        ap_Q[split_Q] = _over_found_in_split_block(terms_QR[split_Q], part)
    return ap_Q


def _over_found_in_split_block(terms_QR: Floats, cut: Cut) -> Floats:
    r"""Expected AP over the found when the cut-off splits a tie block, $E_h[(a + b_h)/(c + h)]$.

    $a$ are the terms before the block; given $h$ hits above the cut-off, the block adds
    $b_h = h u + h (h-1) v$ with $u = \frac{c+1}{m} \sum_j \frac{1}{s+j}$ and
    $v = \frac{1}{m (m-1)} \sum_j \frac{j-1}{s+j}$ over $j \le m$.
    """
    depth = terms_QR.shape[1]
    rank_R = np.arange(1, depth + 1)
    above_Q = depth - cut.taken_Q
    j_QR = np.maximum(rank_R - above_Q[:, None], 0)
    in_block_QR = j_QR > 0
    a_Q = np.where(in_block_QR, 0.0, terms_QR).sum(axis=1)
    u_Q = (cut.before_Q + 1) * (in_block_QR / rank_R).sum(axis=1) / cut.taken_Q
    v_Q = (np.maximum(j_QR - 1, 0) / rank_R).sum(axis=1)
    v_Q /= cut.taken_Q * np.maximum(cut.taken_Q - 1, 1)
    ap_Q = np.zeros(len(terms_QR))
    for h in range(1 + int(np.minimum(cut.taken_Q, cut.hits_Q).max())):
        chance_Q = chance_of_hits(h, cut.size_Q, cut.hits_Q, cut.taken_Q)
        found_Q = np.maximum(cut.before_Q + h, 1)
        ap_Q += chance_Q * (a_Q + h * u_Q + h * (h - 1) * v_Q) / found_Q
    return ap_Q


METRIC = Metric(
    "mAP",
    average_precision_of,
    "the mean over the queries of the precision at the rank of each relevant item",
    relevance="ap_relevance",
    cutoff="K or all",
    variants={
        "found": "divided by the relevant items found above the cut-off",
        "total": "divided by all relevant items of the database",
        "min": "divided by the relevant items of the database, at most the cut-off",
    },
)
