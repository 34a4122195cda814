"""The metrics of a protocol, each under its relevance rule, and the curves of a report."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from crossray.evaluation.metrics.arrays import Floats, Ints
from crossray.evaluation.metrics.average_precision import average_precision_of
from crossray.evaluation.metrics.metric import BoundMetric, Empty
from crossray.evaluation.metrics.precision_at_k import precision_of
from crossray.evaluation.metrics.ranking import AnyRanking, Order, at_random
from crossray.evaluation.metrics.recall_at_k import hit_rate_of
from crossray.evaluation.metrics.recall_fraction import recall_fraction_of
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.protocols.rules import RARE, BoundRule

MAP_RARE = "mAP@all[rare]"
MAP_BY_LABEL = "mAP@all[rare, by label]"
CURVE_POINTS = 64


@dataclass(frozen=True)
class Measure:
    """A metric of rankings ([Q], or [Q, P] for a curve) under one relevance rule."""

    rule: BoundRule
    of: Callable[[AnyRanking], Floats]
    empty: Empty

    def settle(self, values: Floats) -> Floats:
        """See `BoundRule.settle`."""
        return self.rule.settle(values, self.empty)

    def at_random(self, items: int) -> Floats:
        """Settled expected values under a random ranking of `items`."""
        return self.settle(at_random(self.of, self.rule.relevant_Q, items))


@dataclass(frozen=True)
class Graded:
    """A metric of gains, [rows, N] for a slice of the queries; empty as under `rule`."""

    rule: BoundRule
    metric: BoundMetric
    gains: Callable[[slice], Ints]
    empty: Empty
    _chance: list[Floats] = field(default_factory=list)

    def of(self, ordered: Order, rows: slice) -> Floats:
        """Values [rows] of these queries; notes what chance would give them."""
        values, chance = self.metric.of_gains(ordered, self.gains(rows))
        self._chance.append(chance)
        return values

    def settle(self, values: Floats) -> Floats:
        """See `BoundRule.settle`."""
        return self.rule.settle(values, self.empty)

    def at_random(self, items: int) -> Floats:
        """Settled expected values under a random ranking, of the queries judged before."""
        return self.settle(np.concatenate(self._chance))


def measures_of(rules: dict[str, BoundRule], protocol: Protocol) -> dict[str, Measure]:
    """The metrics of a protocol that read rankings, by name in the order of a report."""
    followed = {"relevance": protocol.relevance, "ap_relevance": protocol.ap_relevance}
    measures = {
        bound.name: Measure(
            rules[followed[bound.metric.relevance]], bound.of, bound.empty(protocol.empty)
        )
        for bound in protocol.bound
        if not bound.metric.of_gains
    }
    if RARE in rules:
        measures[MAP_RARE] = Measure(rules[RARE], average_precision_of, protocol.empty)
    return measures


def graded_measures(
    rules: dict[str, BoundRule], protocol: Protocol, gains: Callable[[slice], Ints]
) -> dict[str, Graded]:
    """The metrics of a protocol that read gains, by name."""
    return {
        bound.name: Graded(rules["share_label"], bound, gains, protocol.empty)
        for bound in protocol.bound
        if bound.metric.of_gains
    }


def curve_measures(
    rules: dict[str, BoundRule], protocol: Protocol, k_P: Ints
) -> dict[str, Measure]:
    """The curves of a report at the ranks `k_P`."""
    curves = (
        ("hit_rate", hit_rate_of, protocol.relevance),
        ("precision", precision_of, protocol.ap_relevance),
        ("recall", recall_fraction_of, protocol.ap_relevance),
    )
    return {
        name: Measure(rules[rule], partial(_at_each, of=of, k_P=k_P), protocol.empty)
        for name, of, rule in curves
    }


def curve_ranks(items: int, protocol: Protocol) -> Ints:
    """The ranks of the curves: a geometric grid, and every rank that the protocol names."""
    grid = np.geomspace(1, items, CURVE_POINTS).round().astype(np.int64)
    return np.union1d(grid, np.arange(1, min(protocol.every_rank_to, items) + 1))


def _at_each(ranking: AnyRanking, of: Callable[[AnyRanking, int], Floats], k_P: Ints) -> Floats:
    """A metric of the first K at each K, [Q, P]."""
    return np.stack([of(ranking, int(k)) for k in k_P], axis=1)
