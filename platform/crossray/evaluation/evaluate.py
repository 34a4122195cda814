"""One direction of retrieval, judged under a protocol: metrics, intervals, chance and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.arrays import Floats, Ints, row_blocks
from crossray.evaluation.average_precision import average_precision_of
from crossray.evaluation.bootstrap import RESAMPLES, confidence_intervals
from crossray.evaluation.by_label import ByLabel
from crossray.evaluation.chance import at_random
from crossray.evaluation.mean_over_queries import Empty, mean_over_queries
from crossray.evaluation.median_rank import first_rank_of
from crossray.evaluation.precision_at_k import precision_of
from crossray.evaluation.protocol import Protocol
from crossray.evaluation.ranking import Ranking, order
from crossray.evaluation.recall_at_k import hit_rate_of
from crossray.evaluation.recall_fraction import recall_fraction_of
from crossray.evaluation.rules import RARE, BoundRule, bind_by_label, bind_rules

ScoreBlocks = Callable[[int, int], ArrayLike]
Metric = Callable[[Ranking], Floats]

MEDIAN_RANK = "median_rank"
MAP = "mAP@all"
MAP_RARE = "mAP@all[rare]"
MAP_BY_LABEL = "mAP@all[rare, by label]"
CURVE_POINTS = 64


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
    of `paired_bootstrap`.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baseline: dict[str, float]
    counts: dict[str, int]
    curves: Curves
    query_ids: NDArray[Any]
    per_query: dict[str, Floats]


@dataclass(frozen=True)
class _Measure:
    """A metric of rankings ([Q], or [Q, P] for a curve) under one relevance rule."""

    rule: BoundRule
    of: Metric
    empty: Empty

    def settle(self, values: Floats) -> Floats:
        return self.rule.settle(values, self.empty)

    def at_random(self, items: int) -> Floats:
        return self.settle(at_random(self.of, self.rule.relevant_Q, items))


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

    Raises CrossRayError for shapes that do not fit, missing labels, and when the protocol leaves no
    query to judge.
    """
    query_Q, item_N = np.asarray(query_ids), np.asarray(item_ids)
    blocks = _blocks(scores, query_Q.size, item_N.size)
    rules = bind_rules(protocol, query_Q, item_N, query_labels, item_labels, label_subset)
    measures = _headlines(rules, protocol)
    k_P = np.unique(np.geomspace(1, item_N.size, CURVE_POINTS).round().astype(np.int64))
    curves = _curve_measures(rules, protocol, k_P)
    by_label = bind_by_label(query_labels, item_labels, label_subset)
    values = _judge(blocks, item_N.size, rules, measures | curves, by_label, protocol)
    _check_judged(rules, protocol)
    headlines: dict[str, _Measure | ByLabel] = {**measures}
    if by_label:
        headlines[MAP_BY_LABEL] = by_label
    # A label subset that no query carries has nothing to report but its count.
    per_query = {name: values[name] for name in headlines if not np.isnan(values[name]).all()}
    baseline = {name: _reduce(name, headlines[name].at_random(item_N.size)) for name in per_query}
    metrics = {name: _reduce(name, value_Q) for name, value_Q in per_query.items()}
    for name in (MAP_RARE, MAP_BY_LABEL):
        if name in metrics:
            metrics[f"{name} random"] = baseline[name]
    return DirectionResult(
        metrics=metrics,
        intervals=confidence_intervals(
            per_query, {MEDIAN_RANK: "median"}, resamples, seed, query_Q
        ),
        baseline=baseline,
        counts=_counts(rules, protocol, item_N.size),
        curves=_mean_curves(curves, values, k_P, item_N.size),
        query_ids=query_Q,
        per_query=per_query,
    )


def _mean_curves(
    measures: dict[str, _Measure], values: dict[str, Floats], k_P: NDArray[np.int64], items: int
) -> Curves:
    return Curves(
        k=k_P,
        hit_rate_at_random=np.nanmean(measures["hit_rate"].at_random(items), axis=0),
        **{name: np.nanmean(values[name], axis=0) for name in measures},
    )


def _headlines(rules: dict[str, BoundRule], protocol: Protocol) -> dict[str, _Measure]:
    primary, secondary = rules[protocol.relevance], rules[protocol.ap_relevance]
    measures = {
        f"R@{k}": _Measure(primary, partial(hit_rate_of, k=k), protocol.empty) for k in protocol.ks
    }
    # A query without a relevant item has no rank that could stand in for its best positive's.
    measures[MEDIAN_RANK] = _Measure(primary, first_rank_of, "skip")
    measures[MAP] = _Measure(secondary, average_precision_of, protocol.empty)
    if protocol.ap_cutoff is not None:
        cut_off = partial(
            average_precision_of, cutoff=protocol.ap_cutoff, denominator=protocol.ap_denominator
        )
        name = f"mAP@{protocol.ap_cutoff}[{protocol.ap_denominator}]"
        measures[name] = _Measure(secondary, cut_off, protocol.empty)
    if RARE in rules:
        measures[MAP_RARE] = _Measure(rules[RARE], average_precision_of, protocol.empty)
    return measures


def _curve_measures(
    rules: dict[str, BoundRule], protocol: Protocol, k_P: Ints
) -> dict[str, _Measure]:
    def at_each_k(metric: Callable[[Ranking, int], Floats]) -> Metric:
        return lambda ranking: np.stack([metric(ranking, int(k)) for k in k_P], axis=1)

    primary, secondary = rules[protocol.relevance], rules[protocol.ap_relevance]
    return {
        "hit_rate": _Measure(primary, at_each_k(hit_rate_of), protocol.empty),
        "precision": _Measure(secondary, at_each_k(precision_of), protocol.empty),
        "recall": _Measure(secondary, at_each_k(recall_fraction_of), protocol.empty),
    }


def _blocks(scores: ArrayLike | ScoreBlocks, queries: int, items: int) -> ScoreBlocks:
    if queries == 0 or items == 0:
        raise CrossRayError(
            f"there is nothing to evaluate in {queries} queries and {items} items: check the split "
            f"that was asked for."
        )
    if callable(scores):
        return scores
    scores_QN = np.asarray(scores)
    _check_block(scores_QN, slice(0, queries), items)
    return lambda start, stop: scores_QN[start:stop]


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
    measures: dict[str, _Measure],
    by_label: ByLabel | None,
    protocol: Protocol,
) -> dict[str, Floats]:
    """Rank the queries once, block by block, and return the settled values of every measure."""
    raw: dict[str, list[Floats]] = {name: [] for name in measures}
    ap_QC: list[Floats] = []
    queries = len(rules[protocol.relevance].eligible_Q)
    for rows in row_blocks(queries, items):
        scores_QN = np.asarray(blocks(rows.start, rows.stop))
        _check_block(scores_QN, rows, items)
        ordered = order(scores_QN, protocol.ties)
        for rule in rules.values():
            ranking = ordered.place(rule.relevant(rows))
            rule.relevant_Q[rows] = ranking.relevant_Q
            for name, measure in measures.items():
                if measure.rule is rule:
                    raw[name].append(measure.of(ranking))
        if by_label:
            ap_QC.append(by_label.average_precision(ordered, rows))
    values = {name: measures[name].settle(np.concatenate(raw[name])) for name in measures}
    if by_label:
        values[MAP_BY_LABEL] = by_label.settle(np.concatenate(ap_QC))
    return values


def _check_judged(rules: dict[str, BoundRule], protocol: Protocol) -> None:
    for name in (protocol.relevance, protocol.ap_relevance):
        if not (rules[name].relevant_Q > 0).any():
            raise CrossRayError(
                f"no query has a relevant item under the rule {name!r} of protocol "
                f"{protocol.name!r}: check that queries and items use the same ids and labels."
            )


def _reduce(name: str, value_Q: Floats) -> float:
    return float(np.nanmedian(value_Q)) if name == MEDIAN_RANK else mean_over_queries(value_Q)


def _counts(rules: dict[str, BoundRule], protocol: Protocol, items: int) -> dict[str, int]:
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
