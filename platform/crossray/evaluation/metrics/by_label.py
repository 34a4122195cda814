"""Average precision label by label, so that each label of a long tail counts the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crossray.evaluation.metrics.arrays import Bools, Floats
from crossray.evaluation.metrics.average_precision import average_precision_of
from crossray.evaluation.metrics.chance import at_random
from crossray.evaluation.metrics.leave_one_out import without_own
from crossray.evaluation.metrics.ranking import Order, Ranking


@dataclass(frozen=True)
class ByLabel:
    r"""Mean average precision over labels, the mean of each label over the queries that carry it.

    $$mAP = \frac{1}{|C|} \sum_{c \in C} \frac{1}{|Q_c|} \sum_{q \in Q_c} AP(q; rel = c \in L_x)$$

    `labels_QC` and `labels_NC` are boolean over one vocabulary; labels that no query or no item
    carries are left out of C. `metric` is the average precision that is meant; with
    `leave_one_out`, query i is item i, which is no item to itself.
    """

    labels_QC: Bools
    labels_NC: Bools
    metric: Callable[[Ranking], Floats] = average_precision_of
    leave_one_out: bool = False

    def of(self, ordered: Order, rows: slice) -> Floats:
        """`AP` [rows, C] of these queries for each label; NaN where a query does not carry it."""
        labels_BC = self.labels_QC[rows]
        ap_BC = np.full(labels_BC.shape, np.nan)
        for label in np.flatnonzero(labels_BC.any(axis=0)):
            carriers = np.flatnonzero(labels_BC[:, label])
            relevant_N = self.labels_NC[:, label]
            relevant_BN = np.broadcast_to(relevant_N, (carriers.size, relevant_N.size))
            if self.leave_one_out:
                relevant_BN = without_own(relevant_BN, rows.start + carriers)
            ap_BC[carriers, label] = self.metric(ordered.take(carriers).place(relevant_BN))
        return ap_BC

    def settle(self, ap_QC: Floats) -> Floats:
        """Values [Q] whose mean over the queries that carry a label is the mean over labels.

        A query's value is the sum of its labels' average precisions, each weighted by what the
        label's mean gives it; NaN where a query carries no label.
        """
        judged_QC = ~np.isnan(ap_QC)
        queries_C = judged_QC.sum(axis=0)
        carrying_Q = judged_QC.any(axis=1)
        labels = judged_QC.any(axis=0).sum()
        weight_C = carrying_Q.sum() / np.maximum(labels * queries_C, 1)
        value_Q: Floats = np.where(carrying_Q, np.nan_to_num(ap_QC) @ weight_C, np.nan)
        return value_Q

    def at_random(self, items: int) -> Floats:
        """`settle` of the expected average precisions under a random ranking of `items`; [Q]."""
        return self.settle(np.where(self.labels_QC, self.expected(items), np.nan))

    def expected(self, items: int) -> Floats:
        """Expected average precision of each label under a random ranking of `items`; [C]."""
        relevant_C = self.labels_NC.sum(axis=0)
        if self.leave_one_out:
            relevant_C = np.maximum(relevant_C - 1, 0)
        return at_random(self.metric, relevant_C, items)
