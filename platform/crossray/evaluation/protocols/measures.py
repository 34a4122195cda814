"""What a protocol asks of a ranking, and the names it reports it under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from crossray.evaluation.metrics.arrays import Floats, Ints
from crossray.evaluation.metrics.average_precision import Denominator, average_precision_of
from crossray.evaluation.metrics.chance import at_random
from crossray.evaluation.metrics.mean_over_queries import Empty, mean_over_queries
from crossray.evaluation.metrics.median_rank import first_rank_of
from crossray.evaluation.metrics.ndcg import ndcg_at_random, ndcg_of
from crossray.evaluation.metrics.precision_at_k import precision_of
from crossray.evaluation.metrics.ranking import Cuttable, Order, Ranking
from crossray.evaluation.metrics.recall_at_k import hit_rate_of
from crossray.evaluation.metrics.recall_fraction import recall_fraction_of
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.protocols.rules import RARE, BoundRule

Metric = Callable[[Ranking], Floats]

MEDIAN_RANK = "median_rank"
MAP = "mAP@all"
MAP_RARE = "mAP@all[rare]"
MAP_BY_LABEL = "mAP@all[rare, by label]"
CURVE_POINTS = 64


def cut_name(cutoff: int, denominator: Denominator) -> str:
    """The name of mAP@R, which is nothing without its denominator."""
    return f"mAP@{cutoff}[{denominator}]"


def ndcg_name(k: int) -> str:
    """The name of NDCG@K by labels in common."""
    return f"NDCG@{k}[graded]"


def table_metric(protocol: Protocol) -> tuple[str, Metric]:
    """The average precision that a protocol judges single labels by, with its name."""
    if protocol.ap_cutoff is None:
        return MAP, average_precision_of
    cutoff, denominator = protocol.ap_cutoff, protocol.ap_denominator
    of = partial(average_precision_of, cutoff=cutoff, denominator=denominator)
    return cut_name(cutoff, denominator), of


@dataclass(frozen=True)
class Measure:
    """A metric of rankings ([Q], or [Q, P] for a curve) under one relevance rule."""

    rule: BoundRule
    of: Metric
    empty: Empty

    def settle(self, values: Floats) -> Floats:
        """See `BoundRule.settle`."""
        return self.rule.settle(values, self.empty)

    def at_random(self, items: int) -> Floats:
        """Settled expected values under a random ranking of `items`."""
        return self.settle(at_random(self.of, self.rule.relevant_Q, items))


@dataclass(frozen=True)
class Graded:
    """NDCG@K whose gains [rows, N] are given for a slice of the queries; empty as under `rule`."""

    rule: BoundRule
    gains: Callable[[slice], Ints]
    k: int
    empty: Empty
    _chance: list[Floats] = field(default_factory=list)

    def of(self, ordered: Order, rows: slice) -> Floats:
        """`NDCG` [rows] of these queries; notes what chance would give them."""
        gains_BN = self.gains(rows)
        self._chance.append(ndcg_at_random(gains_BN, self.k))
        return ndcg_of(ordered, gains_BN, self.k)

    def settle(self, values: Floats) -> Floats:
        """See `BoundRule.settle`."""
        return self.rule.settle(values, self.empty)

    def at_random(self, items: int) -> Floats:
        """Settled expected values under a random ranking, of the queries judged before."""
        return self.settle(np.concatenate(self._chance))


def headlines(rules: dict[str, BoundRule], protocol: Protocol) -> dict[str, Measure]:
    """The metrics of a protocol by name, in the order of a report."""
    primary, secondary = rules[protocol.relevance], rules[protocol.ap_relevance]
    measures = {
        f"R@{k}": Measure(primary, partial(hit_rate_of, k=k), protocol.empty) for k in protocol.ks
    }
    # A query without a relevant item has no rank that could stand in for its best positive's.
    measures[MEDIAN_RANK] = Measure(primary, first_rank_of, "skip")
    measures[MAP] = Measure(secondary, average_precision_of, protocol.empty)
    for cutoff, denominator in protocol.ap_cuts:
        of = partial(average_precision_of, cutoff=cutoff, denominator=denominator)
        measures[cut_name(cutoff, denominator)] = Measure(secondary, of, protocol.empty)
    if RARE in rules:
        measures[MAP_RARE] = Measure(rules[RARE], average_precision_of, protocol.empty)
    return measures


def curve_measures(
    rules: dict[str, BoundRule], protocol: Protocol, k_P: Ints
) -> dict[str, Measure]:
    """The curves of a report at the ranks `k_P`."""
    primary, secondary = rules[protocol.relevance], rules[protocol.ap_relevance]
    return {
        "hit_rate": Measure(primary, partial(hit_rates, k_P=k_P), protocol.empty),
        "precision": Measure(secondary, partial(precisions, k_P=k_P), protocol.empty),
        "recall": Measure(secondary, partial(recalls, k_P=k_P), protocol.empty),
    }


def curve_ranks(items: int, protocol: Protocol) -> Ints:
    """The ranks of the curves: a geometric grid, and every rank that the protocol asks for."""
    grid = np.geomspace(1, items, CURVE_POINTS).round().astype(np.int64)
    return np.union1d(grid, np.arange(1, min(protocol.every_rank_to, items) + 1))


def hit_rates(ranking: Cuttable, k_P: Ints) -> Floats:
    """R@K at each K, [Q, P]."""
    return np.stack([hit_rate_of(ranking, int(k)) for k in k_P], axis=1)


def precisions(ranking: Cuttable, k_P: Ints) -> Floats:
    """Precision at each K, [Q, P]."""
    return np.stack([precision_of(ranking, int(k)) for k in k_P], axis=1)


def recalls(ranking: Cuttable, k_P: Ints) -> Floats:
    """Fraction of the relevant items found at each K, [Q, P]."""
    return np.stack([recall_fraction_of(ranking, int(k)) for k in k_P], axis=1)


def reduce(name: str, value_Q: Floats) -> float:
    """The headline of a metric's values: the median of ranks, the mean of the others."""
    return float(np.nanmedian(value_Q)) if name == MEDIAN_RANK else mean_over_queries(value_Q)


def show_value(number: float, metric: str) -> str:
    """A rank with one digit after the point, a fraction with three."""
    return f"{number:.1f}" if metric == MEDIAN_RANK else f"{number:.3f}"
