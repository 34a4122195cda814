"""One direction of retrieval, judged under a protocol: metrics, intervals, chance and counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.hamming.lookup import LookupCurves, lookup_curves
from crossray.evaluation.metrics.arrays import Floats, Ints
from crossray.evaluation.metrics.by_label import ByLabel, LabelTable, label_table
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.metrics.metric import mean_over_queries
from crossray.evaluation.protocols.measures import (
    MAP_BY_LABEL,
    MAP_RARE,
    Graded,
    Measure,
    curve_measures,
    curve_ranks,
    graded_measures,
    measures_of,
)
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.protocols.rules import (
    RARE,
    BoundRule,
    bind_by_label,
    bind_gains,
    bind_rules,
)
from crossray.evaluation.ranked import (
    OrderedScores,
    PackedCodes,
    Ranked,
    ScoreBlocks,
    ranked_blocks,
)
from crossray.evaluation.significance.bootstrap import RESAMPLES, confidence_intervals

TABLE = "by label"


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
    ranked: ArrayLike | ScoreBlocks | PackedCodes,
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

    `ranked` are scores [Q, N], larger = better, or a function of (start, stop) that returns the
    rows of these queries, so that the matrix never exists as one; or `PackedCodes`, where every
    metric is the expectation over the random order of equal distances. `query_ids` [Q] and
    `item_ids` [N] name the pair each belongs to: the captions of an image share its id.
    `query_labels` [Q, C] and `item_labels` [N, C] are boolean over one vocabulary, or None where
    the protocol needs none;
    `label_subset` [C], for instance `rare_labels(item_labels)`, adds two metrics over these labels
    only, with their expectations under a random ranking: in `mAP@all[rare]` an item is relevant
    when it shares any of them, `mAP@all[rare, by label]` judges each label alone (`ByLabel`). The
    intervals draw query ids, because the captions of one image are no independent queries. Where
    there are labels, each is judged alone too (`LabelTable`).

    Raises CrossRayError for shapes that do not fit, missing labels, items of another number of
    labels than one under `same_class`, queries that are not the database under leave-one-out,
    scores where the protocol ranks codes or the other way round, and when the protocol leaves no
    query to judge.
    """
    query_Q, item_N = np.asarray(query_ids), np.asarray(item_ids)
    blocks = ranked_blocks(ranked, query_Q, item_N, protocol)
    items = item_N.size - protocol.leave_one_out
    rules = bind_rules(protocol, query_Q, item_N, query_labels, item_labels, label_subset)
    measures = measures_of(rules, protocol)
    k_P = curve_ranks(items, protocol)
    curves = curve_measures(rules, protocol, k_P)
    graded = _graded(rules, protocol, query_labels, item_labels)
    by_label = _by_label(protocol, query_labels, item_labels, label_subset)
    raw = _judge(blocks, rules, measures | curves, graded, by_label)
    _check_judged(rules, protocol)
    shown: dict[str, Measure | Graded | ByLabel] = {**measures, **graded}
    if MAP_BY_LABEL in by_label:
        shown[MAP_BY_LABEL] = by_label[MAP_BY_LABEL]
    values = {name: measure.settle(raw[name]) for name, measure in {**shown, **curves}.items()}
    # A label subset that no query carries has nothing to report but its count.
    per_query = {name: values[name] for name in shown if not np.isnan(values[name]).all()}
    reduce = {bound.name: bound.reduce for bound in protocol.bound}
    metrics, baseline = (
        {name: reduce.get(name, mean_over_queries)(value_Q) for name, value_Q in part.items()}
        for part in (per_query, {name: shown[name].at_random(items) for name in per_query})
    )
    for name in (MAP_RARE, MAP_BY_LABEL):
        if name in metrics:
            metrics[f"{name} random"] = baseline[name]
    table = None
    if protocol.label_metric and TABLE in by_label:
        name = protocol.label_metric.name
        table = label_table(name, by_label[TABLE], raw[TABLE], values[name], items)
    return DirectionResult(
        metrics=metrics,
        intervals=confidence_intervals(
            per_query, {MEDIAN_RANK: "median"}, resamples, seed, query_Q
        ),
        baseline=baseline,
        counts=_counts(rules, protocol, items),
        curves=_mean_curves(curves, values, k_P, items),
        query_ids=query_Q,
        per_query=per_query,
        by_label=table,
        lookup=_lookup(rules[protocol.ap_relevance], protocol),
    )


def metric_values(
    ranked: ArrayLike | ScoreBlocks | PackedCodes,
    query_ids: ArrayLike,
    item_ids: ArrayLike,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    protocol: Protocol,
) -> dict[str, float]:
    """The metrics of `evaluate_direction` alone, NaN where there is no query to judge."""
    query_Q, item_N = np.asarray(query_ids), np.asarray(item_ids)
    blocks = ranked_blocks(ranked, query_Q, item_N, protocol)
    rules = bind_rules(protocol, query_Q, item_N, query_labels, item_labels, None)
    measures = measures_of(rules, protocol)
    graded = _graded(rules, protocol, query_labels, item_labels)
    raw = _judge(blocks, rules, measures, graded, {})
    judged: dict[str, Measure | Graded] = {**measures, **graded}
    settled = {name: measure.settle(raw[name]) for name, measure in judged.items()}
    return {bound.name: bound.reduce(settled[bound.name]) for bound in protocol.bound}


def with_metrics(
    result: DirectionResult,
    values: Mapping[str, Floats],
    chance: Mapping[str, Floats],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> DirectionResult:
    """The result with further means over its queries: their values [Q], and those by chance."""
    intervals = confidence_intervals(values, {}, resamples, seed, result.query_ids)
    means, random = (
        {name: mean_over_queries(value_Q) for name, value_Q in part.items()}
        for part in (values, chance)
    )
    return replace(
        result,
        metrics={**result.metrics, **means},
        intervals={**result.intervals, **intervals},
        baseline={**result.baseline, **random},
        per_query={**result.per_query, **values},
    )


@dataclass(frozen=True)
class DirectionMean:
    """Means of the directions' metrics, their 95 % intervals and expected values by chance."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baseline: dict[str, float]


def mean_of_directions(
    results: Sequence[DirectionResult], seed: int = 0, resamples: int = RESAMPLES
) -> DirectionMean:
    r"""Return $\frac{1}{2} (m_{I2T} + m_{T2I})$ of every metric that is a mean over queries.

    The intervals draw query ids, an id's queries of all directions together: a query weighs
    what its direction's mean gives it. Median ranks have no mean worth a name and are left out.
    """
    shared = [
        name
        for name in results[0].per_query
        if name != MEDIAN_RANK and all(name in result.per_query for result in results)
    ]
    ids_Q = np.concatenate([result.query_ids for result in results])
    values = {name: _weighed([result.per_query[name] for result in results]) for name in shared}
    return DirectionMean(
        metrics={name: _mean([result.metrics[name] for result in results]) for name in shared},
        intervals=confidence_intervals(values, {}, resamples, seed, ids_Q),
        baseline={name: _mean([result.baseline[name] for result in results]) for name in shared},
    )


def _weighed(values: Sequence[Floats]) -> Floats:
    """All values, scaled so that their mean is the mean of the directions' means."""
    judged = [int((~np.isnan(value_Q)).sum()) for value_Q in values]
    scale = [sum(judged) / (len(values) * max(count, 1)) for count in judged]
    return np.concatenate([value * factor for value, factor in zip(values, scale, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _graded(
    rules: dict[str, BoundRule],
    protocol: Protocol,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
) -> dict[str, Graded]:
    """The metrics that read gains; after `bind_rules`."""
    if query_labels is None or item_labels is None:
        return {}
    return graded_measures(rules, protocol, bind_gains(protocol, query_labels, item_labels))


def _by_label(
    protocol: Protocol,
    query_labels: ArrayLike | None,
    item_labels: ArrayLike | None,
    label_subset: ArrayLike | None,
) -> dict[str, ByLabel]:
    """Labels to judge one by one: those of the subset, and all of them for the table."""
    found: dict[str, ByLabel] = {}
    if rare := bind_by_label(protocol, query_labels, item_labels, label_subset):
        found[MAP_BY_LABEL] = rare
    if query_labels is not None and item_labels is not None and protocol.label_metric:
        labels_QC, labels_NC = np.asarray(query_labels), np.asarray(item_labels)
        of = protocol.label_metric.of
        found[TABLE] = ByLabel(labels_QC, labels_NC, of, protocol.leave_one_out)
    return found


def _judge(
    blocks: Iterator[tuple[slice, Ranked]],
    rules: Mapping[str, BoundRule],
    measures: Mapping[str, Measure],
    graded: Mapping[str, Graded],
    by_label: Mapping[str, ByLabel],
) -> dict[str, Floats]:
    """Rank the queries once, block by block, and return the values of every measure."""
    raw: dict[str, list[Floats]] = {name: [] for name in (*measures, *graded, *by_label)}
    for rows, ranked in blocks:
        for rule in rules.values():
            ranking = ranked.under(rule)
            rule.note(rows, ranking)
            for name, measure in measures.items():
                if measure.rule is rule:
                    raw[name].append(measure.of(ranking))
        if graded:
            assert isinstance(ranked, OrderedScores)
            for name, metric in graded.items():
                raw[name].append(metric.of(ranked.order, rows))
        for name, labels in by_label.items():
            raw[name].append(labels.of(ranked, rows))
    return {name: np.concatenate(values) for name, values in raw.items()}


def _check_judged(rules: Mapping[str, BoundRule], protocol: Protocol) -> None:
    """Raise CrossRayError when the protocol leaves no query to judge."""
    for name in (protocol.relevance, protocol.ap_relevance):
        if not (rules[name].relevant_Q > 0).any():
            raise CrossRayError(
                f"no query has a relevant item under the rule {name!r} of protocol "
                f"{protocol.name!r}: check that queries and items use the same ids and labels."
            )


def _mean_curves(
    measures: Mapping[str, Measure], values: Mapping[str, Floats], k_P: Ints, items: int
) -> Curves:
    return Curves(
        k=k_P,
        hit_rate_at_random=np.nanmean(measures["hit_rate"].at_random(items), axis=0),
        **{name: np.nanmean(values[name], axis=0) for name in measures},
    )


def _lookup(rule: BoundRule, protocol: Protocol) -> LookupCurves | None:
    """The curves of hash lookup over the queries that are judged, where codes were ranked."""
    if rule.counted is None:
        return None
    judged_Q = ~np.isnan(rule.settle(np.zeros(len(rule.relevant_Q)), protocol.empty))
    return lookup_curves(rule.counted, judged_Q)


def _counts(rules: Mapping[str, BoundRule], protocol: Protocol, items: int) -> dict[str, int]:
    """How many queries and items there are, and which queries are a special case."""
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
