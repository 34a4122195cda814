"""Relevance rules bound to the queries and the database of one evaluation."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import relevance
from crossray.evaluation.metrics.arrays import Bools, Floats, Ints, as_bools
from crossray.evaluation.metrics.by_label import ByLabel
from crossray.evaluation.metrics.metric import Empty
from crossray.evaluation.metrics.ranking import AnyRanking, CountedRanking
from crossray.evaluation.protocols.protocol import Protocol

RARE = "share_label[rare]"


@dataclass
class BoundRule:
    """The relevance of some queries, who may be a query at all, and what the evaluation counted.

    `relevant` gives bool [rows, N] for a slice of the queries. Queries that are not eligible are
    excluded whatever the rule for empty queries says. `labels`, [Q, C] and [N, C], make items
    relevant that have one in common; None under another rule. While the queries are judged, `note`
    fills in `relevant_Q`, the number of relevant items of each query, and the ranking of codes.
    """

    relevant: Callable[[slice], Bools]
    eligible_Q: Bools
    labels: tuple[Bools, Bools] | None = None
    relevant_Q: Ints = field(init=False)
    counted: CountedRanking | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.relevant_Q = np.zeros(len(self.eligible_Q), dtype=np.int64)

    def note(self, rows: slice, ranking: AnyRanking) -> None:
        """Note the ranking of a slice of the queries, or of all of them from codes."""
        self.relevant_Q[rows] = ranking.relevant_Q
        if isinstance(ranking, CountedRanking):
            self.counted = ranking

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
    everyone_Q = np.ones(len(query_ids), dtype=bool)
    rules: dict[str, BoundRule] = {}
    if "pair" in names:
        rules["pair"] = BoundRule(
            lambda rows: relevance.pair(query_ids[rows], item_ids), everyone_Q
        )
    if names & {"share_label", "same_class"} or label_subset is not None:
        labels_QC = _labels("queries", query_labels, len(query_ids), protocol)
        labels_NC = _labels("items", item_labels, len(item_ids), protocol)
        if "share_label" in names:
            rules["share_label"] = _by_labels(labels_QC, labels_NC)
        if "same_class" in names:
            class_Q = _classes("queries", labels_QC, protocol)
            class_N = _classes("items", labels_NC, protocol)
            rules["same_class"] = BoundRule(
                lambda rows: relevance.same_class(class_Q[rows], class_N), everyone_Q
            )
        if label_subset is not None:
            subset_C = _subset(label_subset, labels_NC.shape[1])
            rules[RARE] = _by_labels(labels_QC[:, subset_C], labels_NC[:, subset_C])
    if protocol.leave_one_out:
        return {name: _of_others(rule) for name, rule in rules.items()}
    return rules


def check_labels(protocol: Protocol, labels: Bools | None) -> None:
    """Raise CrossRayError when items with labels [N, C], or None, cannot be judged."""
    if {protocol.relevance, protocol.ap_relevance} <= {"pair"}:
        return
    if labels is None:
        raise CrossRayError(_missing("items", protocol))
    if "same_class" in (protocol.relevance, protocol.ap_relevance):
        _classes("items", labels, protocol)


def bind_gains(
    protocol: Protocol, query_labels: ArrayLike, item_labels: ArrayLike
) -> Callable[[slice], Ints]:
    """Return the numbers of labels in common, [rows, N]; inputs that `bind_rules` has checked."""
    labels_QC, labels_NC = np.asarray(query_labels), np.asarray(item_labels)

    def gains(rows: slice) -> Ints:
        gains_BN = relevance.graded(labels_QC[rows], labels_NC)
        return (
            relevance.without_own(gains_BN, relevance.own_columns(rows))
            if protocol.leave_one_out
            else gains_BN
        )

    return gains


def bind_by_label(
    protocol: Protocol,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    label_subset: ArrayLike | None,
) -> ByLabel | None:
    """Return the labels of a subset to judge one by one; inputs that `bind_rules` has checked."""
    if label_subset is None:
        return None
    subset_C = np.asarray(label_subset)
    return ByLabel(
        np.asarray(query_labels)[:, subset_C],
        np.asarray(item_labels)[:, subset_C],
        leave_one_out=protocol.leave_one_out,
    )


def _of_others(rule: BoundRule) -> BoundRule:
    """The rule on a database that each query is taken out of."""
    return BoundRule(
        lambda rows: relevance.without_own(rule.relevant(rows), relevance.own_columns(rows)),
        rule.eligible_Q,
    )


def _classes(whose: str, labels_RC: Bools, protocol: Protocol) -> Ints:
    """The class [R] of each row: the column of its only label."""
    count_R = labels_RC.sum(axis=1)
    other_R = np.flatnonzero(count_R != 1)
    if other_R.size:
        raise CrossRayError(
            f"protocol {protocol.name!r} asks for exactly one label an item, but {other_R.size:,} "
            f"of {len(labels_RC):,} {whose} have none or several (row {other_R[0]} has "
            f"{count_R[other_R[0]]}): use data of one class an item, or a protocol that judges by "
            f"labels in common."
        )
    class_R: Ints = labels_RC.argmax(axis=1)
    return class_R


def _missing(whose: str, protocol: Protocol) -> str:
    return (
        f"the {whose} have no labels, which protocol {protocol.name!r} or a label subset needs: "
        f"pass label matrices or choose a protocol that judges by pairs."
    )


def _by_labels(labels_QC: Bools, labels_NC: Bools) -> BoundRule:
    labelled_Q: Bools = np.any(labels_QC, axis=1)
    labels = labels_QC, labels_NC
    return BoundRule(
        lambda rows: relevance.share_label(labels_QC[rows], labels_NC), labelled_Q, labels
    )


def _labels(whose: str, labels: ArrayLike | None, rows: int, protocol: Protocol) -> Bools:
    if labels is None:
        raise CrossRayError(_missing(whose, protocol))
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
