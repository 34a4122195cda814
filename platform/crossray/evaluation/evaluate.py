"""One direction of retrieval, judged under a protocol: metrics, intervals, chance and counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.hamming.lookup_curves import LookupCurves
from crossray.evaluation.metrics.arrays import Bools, Floats, Ints, row_blocks
from crossray.evaluation.metrics.by_label import ByLabel
from crossray.evaluation.metrics.label_table import LabelTable, label_table
from crossray.evaluation.metrics.leave_one_out import check_same_items, own_columns, without_own
from crossray.evaluation.metrics.ranking import Order, order
from crossray.evaluation.protocols.measures import (
    MAP_BY_LABEL,
    MAP_RARE,
    MEDIAN_RANK,
    Graded,
    Measure,
    curve_measures,
    curve_ranks,
    headlines,
    ndcg_name,
    reduce,
    table_metric,
)
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.protocols.rules import (
    RARE,
    BoundRule,
    bind_by_label,
    bind_gains,
    bind_rules,
)
from crossray.evaluation.significance.bootstrap import RESAMPLES, confidence_intervals

ScoreBlocks = Callable[[int, int], ArrayLike]
TABLE = "by label"


class _OfOrder(Interface):
    """A measure that reads the order of the items itself, [rows] or [rows, C]."""

    def of(self, ordered: Order, rows: slice) -> Floats: ...


@dataclass(frozen=True)
class Curves:
    """Means over the queries at the ranks `k`, a geometric grid from 1 to the database size.

    `hit_rate` (the cumulative match characteristic) and its chance level follow the protocol's
    relevance; `precision` and `recall`, the precision-recall curve by rank, that of its mAP.
    """

    k: Ints
    hit_rate: Floats
    hit_rate_at_random: Floats
    precision: Floats
    recall: Floats


@dataclass(frozen=True)
class DirectionResult:
    """What one direction of retrieval is worth.

    `metrics` maps names to headline values: fractions in [0, 1], ranks from 1. `intervals` holds
    their 95 % bootstrap intervals and `baseline` their expected values under a random ranking.
    `per_query` holds the [Q] values that each headline reduces (by the median for `median_rank`, by
    the mean for the others), in the order of `query_ids`, NaN where a query is excluded: the input
    of `paired_bootstrap`. `by_label` judges each label alone, where there are labels, and `lookup`
    is what the codes' Hamming distances return, where codes are ranked.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baseline: dict[str, float]
    counts: dict[str, int]
    curves: Curves
    query_ids: NDArray[Any]
    per_query: dict[str, Floats]
    by_label: LabelTable | None = None
    lookup: LookupCurves | None = None


def evaluate_direction(
    scores: ArrayLike | ScoreBlocks,
    query_ids: ArrayLike,
    item_ids: ArrayLike,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    protocol: Protocol,
    label_subset: ArrayLike | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> DirectionResult:
    """Judge the ranking of a database for a set of queries.

    `scores` [Q, N], larger = better, may be a function of (start, stop) that returns the rows of
    these queries, so that the whole matrix never exists. `query_ids` [Q] and `item_ids` [N] name
    the pair each belongs to: the captions of an image share its id. `query_labels` [Q, C] and
    `item_labels` [N, C] are boolean over one vocabulary, or None where the protocol needs none;
    `label_subset` [C], for instance `rare_labels(item_labels)`, adds two metrics over these labels
    only, with their expectations under a random ranking: in `mAP@all[rare]` an item is relevant
    when it shares any of them, `mAP@all[rare, by label]` judges each label alone (`ByLabel`). The
    intervals draw whole query ids, because the captions of one image are no independent queries.
    Where there are labels, each is judged alone too (`LabelTable`).

    Raises CrossRayError for shapes that do not fit, missing labels, items of another number of
    labels than one under `same_class`, queries that are not the database under leave-one-out, a
    protocol that ranks codes (`evaluate_codes`), and when the protocol leaves no query to judge.
    """
    query_Q, item_N = np.asarray(query_ids), np.asarray(item_ids)
    blocks = _blocks(scores, query_Q, item_N, protocol)
    items = item_N.size - protocol.leave_one_out
    rules = bind_rules(protocol, query_Q, item_N, query_labels, item_labels, label_subset)
    measures = headlines(rules, protocol)
    k_P = curve_ranks(items, protocol)
    curves = curve_measures(rules, protocol, k_P)
    of_order = _of_order(rules, protocol, query_labels, item_labels, label_subset)
    table = _table(protocol, query_labels, item_labels)
    tabled = {TABLE: table} if table else {}
    raw = _judge(blocks, items, rules, measures | curves, {**of_order, **tabled}, protocol)
    check_judged(rules, protocol)
    shown: dict[str, Measure | ByLabel | Graded] = {**measures, **of_order}
    values = {name: measure.settle(raw[name]) for name, measure in {**shown, **curves}.items()}
    # A label subset that no query carries has nothing to report but its count.
    per_query = {name: values[name] for name in shown if not np.isnan(values[name]).all()}
    baseline = {name: reduce(name, shown[name].at_random(items)) for name in per_query}
    metrics = {name: reduce(name, value_Q) for name, value_Q in per_query.items()}
    for name in (MAP_RARE, MAP_BY_LABEL):
        if name in metrics:
            metrics[f"{name} random"] = baseline[name]
    return DirectionResult(
        metrics=metrics,
        intervals=confidence_intervals(
            per_query, {MEDIAN_RANK: "median"}, resamples, seed, query_Q
        ),
        baseline=baseline,
        counts=count_queries(rules, protocol, items),
        curves=_mean_curves(curves, values, k_P, items),
        query_ids=query_Q,
        per_query=per_query,
        by_label=_tabulated(table, raw, values, items, protocol),
    )


def _of_order(
    rules: dict[str, BoundRule],
    protocol: Protocol,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    label_subset: ArrayLike | None,
) -> dict[str, ByLabel | Graded]:
    """The metrics by name that need more of a ranking than a relevance; after `bind_rules`."""
    measures: dict[str, ByLabel | Graded] = {}
    if protocol.ndcg_k is not None and query_labels is not None and item_labels is not None:
        gains = bind_gains(protocol, query_labels, item_labels)
        rule, k = rules["share_label"], protocol.ndcg_k
        measures[ndcg_name(k)] = Graded(rule, gains, k, protocol.empty)
    if by_label := bind_by_label(protocol, query_labels, item_labels, label_subset):
        measures[MAP_BY_LABEL] = by_label
    return measures


def _mean_curves(
    measures: Mapping[str, Measure], values: Mapping[str, Floats], k_P: Ints, items: int
) -> Curves:
    return Curves(
        k=k_P,
        hit_rate_at_random=np.nanmean(measures["hit_rate"].at_random(items), axis=0),
        **{name: np.nanmean(values[name], axis=0) for name in measures},
    )


def _table(
    protocol: Protocol, query_labels: ArrayLike | None, item_labels: ArrayLike | None
) -> ByLabel | None:
    """Every label to judge alone, by the average precision that the protocol reports."""
    if query_labels is None or item_labels is None:
        return None
    labels_QC, labels_NC = np.asarray(query_labels), np.asarray(item_labels)
    return ByLabel(labels_QC, labels_NC, table_metric(protocol)[1], protocol.leave_one_out)


def _tabulated(
    table: ByLabel | None,
    raw: Mapping[str, Floats],
    values: Mapping[str, Floats],
    items: int,
    protocol: Protocol,
) -> LabelTable | None:
    if table is None:
        return None
    name, _ = table_metric(protocol)
    labels_QC: Bools = table.labels_QC
    expected_C = table.expected(items)
    return label_table(name, raw[TABLE], labels_QC, table.labels_NC, expected_C, values[name])


def _blocks(
    scores: ArrayLike | ScoreBlocks,
    query_Q: NDArray[Any],
    item_N: NDArray[Any],
    protocol: Protocol,
) -> ScoreBlocks:
    """The rows of scores of a slice of the queries, checked, without each query's own item."""
    queries, items = query_Q.size, item_N.size
    if queries == 0 or items == 0:
        raise CrossRayError(
            f"there is nothing to evaluate in {queries} queries and {items} items: check the split "
            f"that was asked for."
        )
    if protocol.ranked_by == "hamming":
        raise CrossRayError(
            f"protocol {protocol.name!r} ranks codes by their Hamming distance, not scores: use "
            f"`evaluate_codes`."
        )
    if protocol.leave_one_out:
        check_same_items(query_Q, item_N)
    if callable(scores):
        given = scores
    else:
        scores_QN = np.asarray(scores)
        _check_block(scores_QN, slice(0, queries), items)

        def given(start: int, stop: int) -> ArrayLike:
            return scores_QN[start:stop]

    def block(start: int, stop: int) -> NDArray[Any]:
        rows, scores_BN = slice(start, stop), np.asarray(given(start, stop))
        _check_block(scores_BN, rows, items)
        return without_own(scores_BN, own_columns(rows)) if protocol.leave_one_out else scores_BN

    return block


def _check_block(scores_QN: NDArray[Any], rows: slice, items: int) -> None:
    if scores_QN.shape != (rows.stop - rows.start, items):
        raise CrossRayError(
            f"the scores of queries {rows.start} to {rows.stop} have the shape {scores_QN.shape} "
            f"for {items} items: give one row a query and one column an item."
        )


def _judge(
    blocks: ScoreBlocks,
    items: int,
    rules: dict[str, BoundRule],
    measures: Mapping[str, Measure],
    of_order: Mapping[str, _OfOrder],
    protocol: Protocol,
) -> dict[str, Floats]:
    """Rank the queries once, block by block, and return the values of every measure."""
    raw: dict[str, list[Floats]] = {name: [] for name in (*measures, *of_order)}
    queries = len(rules[protocol.relevance].eligible_Q)
    for rows in row_blocks(queries, items):
        ordered = order(blocks(rows.start, rows.stop), protocol.ties)
        for rule in rules.values():
            ranking = ordered.place(rule.relevant(rows))
            rule.relevant_Q[rows] = ranking.relevant_Q
            for name, measure in measures.items():
                if measure.rule is rule:
                    raw[name].append(measure.of(ranking))
        for name, direct in of_order.items():
            raw[name].append(direct.of(ordered, rows))
    return {name: np.concatenate(values) for name, values in raw.items()}


def check_judged(rules: dict[str, BoundRule], protocol: Protocol) -> None:
    """Raise CrossRayError when the protocol leaves no query to judge."""
    for name in (protocol.relevance, protocol.ap_relevance):
        if not (rules[name].relevant_Q > 0).any():
            raise CrossRayError(
                f"no query has a relevant item under the rule {name!r} of protocol "
                f"{protocol.name!r}: check that queries and items use the same ids and labels."
            )


def count_queries(rules: dict[str, BoundRule], protocol: Protocol, items: int) -> dict[str, int]:
    """How many queries and items there are, and which queries are a case of their own."""
    primary = rules[protocol.relevance]
    counts = {
        "queries": len(primary.relevant_Q),
        "items": items,
        "queries_without_relevant_item": int((primary.relevant_Q == 0).sum()),
    }
    if "share_label" in rules:
        counts["queries_excluded_without_labels"] = int((~rules["share_label"].eligible_Q).sum())
    if RARE in rules:
        counts["queries_with_rare_labels"] = int(rules[RARE].eligible_Q.sum())
    return counts
