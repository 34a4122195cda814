"""Average precision that counts an item only where the model looked at the right place."""

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Floats, as_bools, as_scores, check_same_shape
from crossray.evaluation.metrics.average_precision import average_precision
from crossray.evaluation.metrics.ranking import Ties

IOU_THRESHOLDS = (0.3, 0.5, 0.7)


def grounded_average_precision(
    scores_QN: ArrayLike,
    relevant_QN: ArrayLike,
    iou_QN: ArrayLike,
    threshold: float = 0.5,
    ties: Ties = "stable",
) -> Floats:
    r"""Average precision where relevant items must also be found in their place; one a query.

    $$AP_t(q) = \frac{1}{N_{rel}} \sum_{r} P_t@r \cdot g_r, \qquad g_r = rel_r \cdot [IoU_r \ge t]$$

    P_t counts the $g$ above. As in detection, $N_{rel}$ counts the relevant items whether their
    place was found or not, so that the value never grows with the threshold (`IOU_THRESHOLDS`).

    `iou_QN` is the overlap of the best attended box with the true one in [0, 1], NaN where there is
    no box. A relevant item without a box cannot be judged: it is ranked last and not counted. A
    query without a relevant item that has a box is NaN, "not available", never 0. Scores and
    relevance are [Q, N], larger = better; returns float64 [Q] in [0, 1]. Raises CrossRayError for
    shapes that do not fit, NaN scores, non-boolean relevance, overlaps or a threshold outside
    [0, 1] and unknown tie rules.
    """
    scores, relevant = as_scores(scores_QN), as_bools("the relevance", relevant_QN)
    iou = np.asarray(iou_QN, dtype=np.float64)
    check_same_shape(scores, relevant)
    check_same_shape(scores, iou)
    if not 0 <= threshold <= 1 or ((iou < 0) | (iou > 1)).any():
        raise CrossRayError(
            f"the overlaps and their threshold {threshold!r} must be in [0, 1]: divide the "
            f"intersection of two boxes by their union."
        )
    unknown_QN = relevant & np.isnan(iou)
    grounded_QN = relevant & (iou >= threshold)
    ap_Q = average_precision(np.where(unknown_QN, -np.inf, scores), grounded_QN, ties=ties)
    judged_Q = (relevant & ~unknown_QN).sum(axis=1)
    share_Q = grounded_QN.sum(axis=1) / np.where(judged_Q > 0, judged_Q, np.nan)
    value_Q: Floats = np.nan_to_num(ap_Q) * share_Q
    return value_Q
