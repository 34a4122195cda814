"""Mean average precision of each class alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Floats, as_bools, as_scores, row_blocks
from crossray.evaluation.metrics.by_label import ByLabel
from crossray.evaluation.metrics.ranking import Ties, order


def average_precision_by_class(
    scores_QN: ArrayLike,
    query_labels_QC: ArrayLike,
    item_labels_NC: ArrayLike,
    ties: Ties = "stable",
) -> Floats:
    r"""Mean average precision of the queries that carry a class, judged by it alone; one a class.

    $$AP_c = \frac{1}{|Q_c|} \sum_{q \in Q_c} AP(q; rel = c \in L_x)$$

    NaN for a class that no query or no item carries. Scores are [Q, N], larger = better; labels are
    boolean over one vocabulary; returns float64 [C] in [0, 1]. Raises CrossRayError for shapes that
    do not fit, NaN, labels that are not boolean and unknown tie rules.
    """
    scores = as_scores(scores_QN)
    labels_QC = as_bools("the queries' labels", query_labels_QC)
    labels_NC = as_bools("the items' labels", item_labels_NC)
    fitting = scores.shape == (len(labels_QC), len(labels_NC))
    if not fitting or labels_QC.shape[1] != labels_NC.shape[1] or scores.size == 0:
        raise CrossRayError(
            f"scores of shape {scores.shape} do not fit labels of shape {labels_QC.shape} and "
            f"{labels_NC.shape}: pass one row a query and one an item over one vocabulary."
        )
    by_class = ByLabel(labels_QC, labels_NC)
    ap_QC = np.concatenate(
        [by_class.of(order(scores[rows], ties), rows) for rows in row_blocks(*scores.shape)]
    )
    judged_C = (~np.isnan(ap_QC)).sum(axis=0)
    ap_C: Floats = np.nansum(ap_QC, axis=0) / np.where(judged_C > 0, judged_C, np.nan)
    return ap_C
