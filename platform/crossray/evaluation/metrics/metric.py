"""What a metric is to a protocol: a name, a function of rankings and what a reader must know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.metrics.arrays import Floats, Ints, check_choice
from crossray.evaluation.metrics.ranking import AnyRanking, Order, at_random

Empty = Literal["skip", "zero"]
EMPTY_RULES: tuple[Empty, ...] = get_args(Empty)
Statistic = Literal["mean", "median"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)


@dataclass(frozen=True)
class Metric:
    """A metric of rankings, one value a query.

    Attributes:
        name: without cut-off and variant.
        of: the values [Q] of a ranking, after which it takes the cut-off and the variant if the
            metric has any. A metric of `gains` takes an order, the gains [Q, N] and the cut-off.
        words: a sentence for the reader of a report.
        relevance: the rule of the protocol that it follows, `relevance` or `ap_relevance`.
        cutoff: `K`, a rank from 1, must follow the name; `K or all` allows all ranks,
            where the variants coincide.
        variants: what may stand in brackets after a cut-off, with its words.
        unit: a fraction in [0, 1], or a rank from 1.
        statistic: what reduces the values over the queries.
        chance: for a metric of gains, its expected values [Q] under a random ranking, of the gains
            and the cut-off; those of other metrics are values of one block of equal scores.
    """

    name: str
    of: Callable[..., Floats]
    words: str
    relevance: Literal["relevance", "ap_relevance"] = "relevance"
    cutoff: Literal["none", "K", "K or all"] = "none"
    variants: Mapping[str, str] = field(default_factory=dict)
    unit: Literal["fraction", "rank"] = "fraction"
    statistic: Statistic = "mean"
    chance: Callable[..., Floats] | None = None

    @property
    def of_gains(self) -> bool:
        """Whether it reads gains, the numbers of labels in common, in place of relevance."""
        return self.chance is not None


@dataclass(frozen=True)
class BoundMetric:
    """A metric with its cut-off, None for all ranks, and its variant."""

    name: str
    metric: Metric
    k: int | None = None
    variant: str | None = None

    def of(self, ranking: AnyRanking) -> Floats:
        """Values of a ranking, [Q]."""
        arguments = (self.k, *([self.variant] if self.variant else []))
        return self.metric.of(ranking, *(arguments if self.metric.cutoff != "none" else ()))

    def at_random(self, relevant_Q: Ints, items: int) -> Floats:
        """Expected values under a random ranking of `items`, [Q]."""
        return at_random(self.of, relevant_Q, items)

    def of_gains(self, ordered: Order, gains_QN: Ints) -> tuple[Floats, Floats]:
        """Values of an order with gains, and those expected under a random one, both [Q]."""
        assert self.metric.chance is not None
        return self.metric.of(ordered, gains_QN, self.k), self.metric.chance(gains_QN, self.k)

    def empty(self, rule: Empty) -> Empty:
        """The rule for queries without a relevant item: no rank could stand in for theirs."""
        return "skip" if self.metric.unit == "rank" else rule

    def reduce(self, value_Q: Floats) -> float:
        """The headline of the values."""
        median = self.metric.statistic == "median"
        return float(np.nanmedian(value_Q)) if median else mean_over_queries(value_Q)


def mean_over_queries(values_Q: ArrayLike, empty: Empty = "skip") -> float:
    r"""Mean of per-query values, $\frac{1}{|Q|} \sum_q v_q$, where NaN marks an empty query.

    `skip` leaves queries without a relevant item out; `zero` counts them as 0. NaN when nothing is
    left to average. Raises CrossRayError for an unknown rule.
    """
    check_choice("the rule for empty queries", empty, EMPTY_RULES)
    values = np.asarray(values_Q, dtype=np.float64)
    kept = np.nan_to_num(values, nan=0.0) if empty == "zero" else values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")
