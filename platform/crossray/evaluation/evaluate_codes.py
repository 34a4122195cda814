"""One direction of retrieval by codes, judged from the counts at each Hamming distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.evaluate import Curves, DirectionResult, check_judged, count_queries
from crossray.evaluation.hamming.average_precision import average_precision_of_counts
from crossray.evaluation.hamming.counts import HammingCounts, hamming_counts
from crossray.evaluation.hamming.lookup_curves import lookup_curves
from crossray.evaluation.metrics.arrays import Bools, Floats, Ints, as_bools
from crossray.evaluation.metrics.label_table import LabelTable, label_table
from crossray.evaluation.metrics.mean_over_queries import mean_over_queries
from crossray.evaluation.metrics.recall_at_k import hit_rate_of
from crossray.evaluation.protocols.measures import MAP, curve_ranks, hit_rates, precisions, recalls
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.protocols.rules import BoundRule, bind_rules
from crossray.evaluation.significance.bootstrap import RESAMPLES, confidence_intervals

Packed = NDArray[np.uint8]


def evaluate_codes(
    query_codes: ArrayLike,
    item_codes: ArrayLike,
    query_ids: ArrayLike,
    item_ids: ArrayLike,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    protocol: Protocol,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> DirectionResult:
    """Judge the Hamming ranking of a database for a set of queries; nothing is sorted.

    Codes are packed, eight bits a byte, [Q, K / 8] and [N, K / 8]; ids and labels are those of
    `evaluate_direction`, and so are the results, which hold the curves of hash lookup too. Every
    metric is the expectation over the random order of equal distances.

    Raises CrossRayError for codes, ids or labels that do not fit, a protocol that ranks scores, and
    when the protocol leaves no query to judge.
    """
    if protocol.ranked_by != "hamming":
        raise CrossRayError(
            f"protocol {protocol.name!r} ranks scores, not codes: use `evaluate_direction`."
        )
    query_Q, item_N = np.asarray(query_ids), np.asarray(item_ids)
    codes_QY, codes_NY = np.asarray(query_codes), np.asarray(item_codes)
    rules = bind_rules(protocol, query_Q, item_N, query_labels, item_labels, None)
    labels_QC = as_bools("the queries' labels", np.asarray(query_labels))
    labels_NC = as_bools("the items' labels", np.asarray(item_labels))
    counts = hamming_counts(codes_QY, codes_NY, labels_QC, labels_NC)
    rule = rules["share_label"]
    rule.relevant_Q[:] = counts.relevant_Q
    check_judged(rules, protocol)
    chance = _one_block(counts.relevant_Q, item_N.size)
    per_query, baseline = (_values(of, rule, protocol) for of in (counts, chance))
    judged_Q = ~np.isnan(per_query[MAP])
    return DirectionResult(
        metrics={name: mean_over_queries(value_Q) for name, value_Q in per_query.items()},
        intervals=confidence_intervals(per_query, {}, resamples, seed, query_Q),
        baseline={name: mean_over_queries(value_Q) for name, value_Q in baseline.items()},
        counts=count_queries(rules, protocol, item_N.size),
        curves=_curves(counts, chance, rule, protocol, curve_ranks(item_N.size, protocol)),
        query_ids=query_Q,
        per_query=per_query,
        by_label=_table(codes_QY, codes_NY, labels_QC, labels_NC, per_query[MAP]),
        lookup=lookup_curves(counts, judged_Q),
    )


def _values(counts: HammingCounts, rule: BoundRule, protocol: Protocol) -> dict[str, Floats]:
    values = {f"R@{k}": hit_rate_of(counts, k) for k in protocol.ks}
    values[MAP] = average_precision_of_counts(counts)
    return {name: rule.settle(value_Q, protocol.empty) for name, value_Q in values.items()}


def _curves(
    counts: HammingCounts, chance: HammingCounts, rule: BoundRule, protocol: Protocol, k_P: Ints
) -> Curves:
    def mean(values_QP: Floats) -> Floats:
        mean_P: Floats = np.nanmean(rule.settle(values_QP, protocol.empty), axis=0)
        return mean_P

    return Curves(
        k=k_P,
        hit_rate=mean(hit_rates(counts, k_P)),
        hit_rate_at_random=mean(hit_rates(chance, k_P)),
        precision=mean(precisions(counts, k_P)),
        recall=mean(recalls(counts, k_P)),
    )


def _one_block(relevant_Q: Ints, items: int) -> HammingCounts:
    """The counts of a random ranking: all items at one distance."""
    return HammingCounts(np.full((len(relevant_Q), 1), items), relevant_Q[:, None])


def _table(
    codes_QY: Packed, codes_NY: Packed, labels_QC: Bools, labels_NC: Bools, protocol_ap_Q: Floats
) -> LabelTable:
    ap_QC = np.full(labels_QC.shape, np.nan)
    for label in np.flatnonzero(labels_QC.any(axis=0) & labels_NC.any(axis=0)):
        carriers_Q, own = labels_QC[:, label], slice(label, label + 1)
        counts = hamming_counts(
            codes_QY[carriers_Q], codes_NY, labels_QC[carriers_Q, own], labels_NC[:, own]
        )
        ap_QC[carriers_Q, label] = average_precision_of_counts(counts)
    relevant_C = labels_NC.sum(axis=0)
    expected_C = average_precision_of_counts(_one_block(relevant_C, len(labels_NC)))
    return label_table(MAP, ap_QC, labels_QC, labels_NC, expected_C, protocol_ap_Q)
