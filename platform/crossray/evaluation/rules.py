"""Relevance rules bound to the queries and the database of one evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.arrays import Bools, Floats, Ints, as_bools
from crossray.evaluation.by_label import ByLabel
from crossray.evaluation.mean_over_queries import Empty
from crossray.evaluation.protocol import Protocol
from crossray.evaluation.relevance import pair, share_label

RARE = "share_label[rare]"


@dataclass
class BoundRule:
    """The relevance of some queries, who may be a query at all, and what the evaluation counted.

    `relevant` gives bool [rows, N] for a slice of the queries. Queries that are not eligible are
    excluded whatever the rule for empty queries says. `relevant_Q`, the number of relevant items of
    each query, is filled in while the queries are judged.
    """

    relevant: Callable[[slice], Bools]
    eligible_Q: Bools
    relevant_Q: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.relevant_Q = np.zeros(len(self.eligible_Q), dtype=np.int64)

    def settle(self, values: Floats, empty: Empty) -> Floats:
        """Apply the rule for empty queries to values [Q] or [Q, P]; NaN marks the excluded."""
        settled = values.copy()
        settled[self.relevant_Q == 0] = 0.0 if empty == "zero" else np.nan
        settled[~self.eligible_Q] = np.nan
        return settled


def bind_rules(
    protocol: Protocol,
    query_ids: NDArray[np.generic],
    item_ids: NDArray[np.generic],
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    label_subset: ArrayLike | None,
) -> dict[str, BoundRule]:
    """Return the rules that a protocol needs by name, and `RARE` when there is a label subset.

    Raises CrossRayError for labels that are missing or do not fit the ids or the subset.
    """
    names = {protocol.relevance, protocol.ap_relevance}
    rules: dict[str, BoundRule] = {}
    if "pair" in names:
        everyone_Q = np.ones(len(query_ids), dtype=bool)
        rules["pair"] = BoundRule(lambda rows: pair(query_ids[rows], item_ids), everyone_Q)
    if "share_label" in names or label_subset is not None:
        labels_QC = _labels("queries", query_labels, len(query_ids), protocol)
        labels_NC = _labels("items", item_labels, len(item_ids), protocol)
        if "share_label" in names:
            rules["share_label"] = _by_labels(labels_QC, labels_NC)
        if label_subset is not None:
            subset_C = _subset(label_subset, labels_NC.shape[1])
            rules[RARE] = _by_labels(labels_QC[:, subset_C], labels_NC[:, subset_C])
    return rules


def bind_by_label(
    query_labels: ArrayLike | None, item_labels: ArrayLike | None, label_subset: ArrayLike | None
) -> ByLabel | None:
    """Return the labels of a subset to judge one by one; inputs that `bind_rules` has checked."""
    if label_subset is None:
        return None
    subset_C = np.asarray(label_subset)
    return ByLabel(np.asarray(query_labels)[:, subset_C], np.asarray(item_labels)[:, subset_C])


def _by_labels(labels_QC: Bools, labels_NC: Bools) -> BoundRule:
    labelled_Q: Bools = np.any(labels_QC, axis=1)
    return BoundRule(lambda rows: share_label(labels_QC[rows], labels_NC), labelled_Q)


def _labels(whose: str, labels: ArrayLike | None, rows: int, protocol: Protocol) -> Bools:
    if labels is None:
        raise CrossRayError(
            f"the {whose} have no labels, which protocol {protocol.name!r} or a label subset "
            f"needs: pass label matrices or choose a protocol that judges by pairs."
        )
    labels_RC = as_bools(f"the {whose}' labels", labels)
    if len(labels_RC) != rows:
        raise CrossRayError(
            f"there are {len(labels_RC)} label rows for {rows} {whose}: pass one row each."
        )
    return labels_RC


def _subset(label_subset: ArrayLike, vocabulary: int) -> Bools:
    subset_C = np.asarray(label_subset)
    if subset_C.dtype != np.bool_ or subset_C.shape != (vocabulary,):
        raise CrossRayError(
            f"the label subset must be one boolean for each of the {vocabulary} labels, not "
            f"{subset_C.dtype} of shape {subset_C.shape}: pass a mask over the vocabulary."
        )
    return subset_C
