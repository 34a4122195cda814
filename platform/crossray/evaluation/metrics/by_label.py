"""Average precision label by label: the mean over labels, and a table of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crossray.evaluation.metrics.arrays import Bools, Floats, Ints
from crossray.evaluation.metrics.average_precision import average_precision_of
from crossray.evaluation.metrics.ranking import AnyRanking, at_random


class RankedItems(Protocol):
    """The items ranked for some queries, before it is known which are relevant."""

    def carrying(self, queries_M: Ints, carries_N: Bools) -> AnyRanking:
        """The ranking for a few of the queries where the items [N] of a label are relevant."""


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
    metric: Callable[[AnyRanking], Floats] = average_precision_of
    leave_one_out: bool = False

    def of(self, ranked: RankedItems, rows: slice) -> Floats:
        """`AP` [rows, C] of these queries for each label; NaN where a query does not carry it."""
        labels_BC = self.labels_QC[rows]
        ap_BC = np.full(labels_BC.shape, np.nan)
        for label in np.flatnonzero(labels_BC.any(axis=0) & self.labels_NC.any(axis=0)):
            carriers = np.flatnonzero(labels_BC[:, label])
            ap_BC[carriers, label] = self.metric(
                ranked.carrying(carriers, self.labels_NC[:, label])
            )
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


@dataclass(frozen=True)
class LabelTable:
    """One row a label of the vocabulary.

    `ap_C` is the mean of `metric` over the queries that carry the label where relevant is every
    item that carries it, and `chance_C` its expectation under a random ranking; `protocol_ap_C` is
    the mean over the same queries under the protocol's relevance. `queries_C` counts the
    queries judged, `items_C` the items of the database that carry the label. NaN for a label that
    no query or no item carries.
    """

    metric: str
    queries_C: Ints
    items_C: Ints
    ap_C: Floats
    chance_C: Floats
    protocol_ap_C: Floats

    def rows(self, names: list[str]) -> dict[str, dict[str, float | int | None]]:
        """The judged labels by name, the most frequent among the queries first."""
        order_C = sorted(range(len(names)), key=lambda c: (-int(self.queries_C[c]), names[c]))
        return {
            names[c]: {
                "queries": int(self.queries_C[c]),
                "items": int(self.items_C[c]),
                "ap": _number(self.ap_C[c]),
                "chance": _number(self.chance_C[c]),
                "protocol_ap": _number(self.protocol_ap_C[c]),
            }
            for c in order_C
            if self.queries_C[c]
        }


def label_table(
    metric: str, labels: ByLabel, ap_QC: Floats, protocol_ap_Q: Floats, items: int
) -> LabelTable:
    """Reduce what `labels.of` gave for a database of `items`, and the protocol's values [Q]."""
    judged_QC = ~np.isnan(ap_QC)
    queries_C = judged_QC.sum(axis=0)
    some_C = np.where(queries_C > 0, queries_C, np.nan)
    scored_QC = labels.labels_QC & ~np.isnan(protocol_ap_Q)[:, None]
    scored_C = scored_QC.sum(axis=0)
    return LabelTable(
        metric=metric,
        queries_C=queries_C,
        items_C=labels.labels_NC.sum(axis=0),
        ap_C=np.nansum(ap_QC, axis=0) / some_C,
        chance_C=np.where(queries_C > 0, labels.expected(items), np.nan),
        protocol_ap_C=np.nan_to_num(protocol_ap_Q)
        @ scored_QC
        / np.where(scored_C > 0, scored_C, np.nan),
    )


def _number(value: np.floating | float) -> float | None:
    return None if np.isnan(value) else float(value)
