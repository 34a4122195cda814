r"""Rankings under the two tie rules, in one representation that every metric reads.

A ranking is a sequence of tie blocks. Under `stable` (order by (-score, database index)) each
position is a separate block; under `expected` a block holds all items of one score, and a metric
is its expectation over the random order inside the blocks. For a block of $n$ items with $r$
relevant, preceded by $s$ items of which $c$ are relevant, every position of the block knows
$(s, n, r, c)$; the metrics are written once in these terms, and $n = 1$ gives the ordinary formula.

Where only the size of each block is known, as for Hamming distances, a `CountedRanking` has one
column a block instead of one a position. A random ranking is one block that holds all items.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import arrays
from crossray.evaluation.metrics.arrays import Bools, Floats, Ints

Ties = Literal["stable", "expected"]
TIES: tuple[Ties, ...] = ("stable", "expected")


@dataclass(frozen=True)
class Cut:
    """The tie block in which a rank cut-off falls, one value a query.

    `taken` of its `size` items stand above the cut-off; `hits` of all of them are relevant, and so
    are `before` of the items above the block.
    """

    taken_Q: Ints
    size_Q: Ints
    hits_Q: Ints
    before_Q: Ints


@dataclass(frozen=True)
class Ranking:
    """Ranked relevance of a block of queries; columns are positions, the best first.

    For the tie block of each position: `start` (s) items and `before` (c) relevant items precede
    it, `size` (n) items are in it, `hits` (r) of them relevant. `relevant_Q` counts the relevant
    items in the database.
    """

    start_QN: Ints
    size_QN: Ints
    hits_QN: Ints
    before_QN: Ints
    relevant_Q: Ints

    @property
    def items(self) -> int:
        """Number of items in the database."""
        return int(self.start_QN.shape[1])

    def cut(self, k: int) -> Cut:
        """Return the tie blocks at rank `k`; beyond the last item the last block."""
        last = min(k, self.items) - 1
        return Cut(
            taken_Q=last + 1 - self.start_QN[:, last],
            size_Q=self.size_QN[:, last],
            hits_Q=self.hits_QN[:, last],
            before_Q=self.before_QN[:, last],
        )

    def first_relevant(self) -> tuple[Ints, Ints, Ints]:
        """Start, size and hits of each query's first block with a relevant item, each [Q]."""
        first_Q = np.argmax(self.hits_QN > 0, axis=1)
        row_Q = np.arange(len(first_Q))
        return (
            self.start_QN[row_Q, first_Q],
            self.size_QN[row_Q, first_Q],
            self.hits_QN[row_Q, first_Q],
        )

    def head(self, depth: int) -> "Ranking":
        """Return the first `depth` positions."""
        return Ranking(
            self.start_QN[:, :depth],
            self.size_QN[:, :depth],
            self.hits_QN[:, :depth],
            self.before_QN[:, :depth],
            self.relevant_Q,
        )


@dataclass(frozen=True)
class CountedRanking:
    """A ranking of which the blocks are counted: how many `items` and `relevant` items each holds.

    Both are [Q, D], one column a block, the best first; a block may be empty. `head`
    gives positions.
    """

    items_QD: Ints
    relevant_QD: Ints

    @classmethod
    def at_random(cls, relevant_Q: Ints, items: int) -> "CountedRanking":
        """Return the random order of `items`: one block."""
        return cls(np.full((len(relevant_Q), 1), items), relevant_Q[:, None])

    @cached_property
    def through_QD(self) -> Ints:  # noqa: N802, an array [Q, D]
        """Items down to the end of each block."""
        return np.cumsum(self.items_QD, axis=1)

    @cached_property
    def found_QD(self) -> Ints:  # noqa: N802, an array [Q, D]
        """Relevant items down to the end of each block."""
        return np.cumsum(self.relevant_QD, axis=1)

    @property
    def items(self) -> int:
        """Number of items in the database."""
        return int(self.through_QD[:, -1].max())

    @property
    def relevant_Q(self) -> Ints:  # noqa: N802, an array [Q]
        """Relevant items in the database, [Q]."""
        relevant_Q: Ints = self.found_QD[:, -1]
        return relevant_Q

    def cut(self, k: int) -> Cut:
        """Return the blocks at rank `k`; beyond the last item the last block that holds any."""
        rank_Q = np.minimum(k, self.through_QD[:, -1])
        at_Q = np.argmax(self.through_QD >= rank_Q[:, None], axis=1)
        start_Q, size_Q, hits_Q, before_Q = (part[:, 0] for part in self._blocks(at_Q[:, None]))
        return Cut(rank_Q - start_Q, size_Q, hits_Q, before_Q)

    def first_relevant(self) -> tuple[Ints, Ints, Ints]:
        """See `Ranking.first_relevant`."""
        at_Q = np.argmax(self.relevant_QD > 0, axis=1)
        start_Q, size_Q, hits_Q, _ = (part[:, 0] for part in self._blocks(at_Q[:, None]))
        return start_Q, size_Q, hits_Q

    def head(self, depth: int) -> Ranking:
        """Return the first `depth` positions, each with its block."""
        rank_R = np.arange(1, depth + 1)
        at_QR = np.stack([np.searchsorted(through_D, rank_R) for through_D in self.through_QD])
        return Ranking(*self._blocks(at_QR), self.relevant_Q)

    def take(self, rows: Bools) -> "CountedRanking":
        """Return the ranking of some of the queries."""
        return CountedRanking(self.items_QD[rows], self.relevant_QD[rows])

    def _blocks(self, at_QM: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Start, size, hits and relevant items before the chosen blocks, each [Q, M]."""
        size_QM, hits_QM, through_QM, found_QM = (
            np.take_along_axis(values_QD, at_QM, axis=1)
            for values_QD in (self.items_QD, self.relevant_QD, self.through_QD, self.found_QD)
        )
        return through_QM - size_QM, size_QM, hits_QM, found_QM - hits_QM


AnyRanking = Ranking | CountedRanking


@dataclass(frozen=True)
class Order:
    """A sorted block of scores: item index, block start and block size at each position."""

    item_QN: Ints
    start_QN: Ints
    size_QN: Ints

    def take(self, rows: Ints) -> "Order":
        """Return the order of some of the queries."""
        return Order(self.item_QN[rows], self.start_QN[rows], self.size_QN[rows])

    def place(self, relevant_QN: Bools) -> Ranking:
        """Return the ranking of a relevance; one order serves any number of them."""
        sorted_QN = np.take_along_axis(relevant_QN, self.item_QN, axis=1)
        count_QM = np.zeros((len(sorted_QN), sorted_QN.shape[1] + 1), dtype=np.int64)
        np.cumsum(sorted_QN, axis=1, out=count_QM[:, 1:])
        before_QN = np.take_along_axis(count_QM, self.start_QN, axis=1)
        through_QN = np.take_along_axis(count_QM, self.start_QN + self.size_QN, axis=1)
        return Ranking(
            self.start_QN, self.size_QN, through_QN - before_QN, before_QN, count_QM[:, -1]
        )


def order(scores: ArrayLike, ties: Ties = "stable") -> Order:
    """Sort scores [Q, N], larger = better, under a tie rule.

    Raises CrossRayError for scores that are no numeric matrix or hold NaN, and an unknown rule.
    """
    arrays.check_choice("the tie rule", ties, TIES)
    scores_QN = arrays.as_scores(scores)
    item_QN = np.argsort(-scores_QN, axis=1, kind="stable")
    position_QN = np.broadcast_to(np.arange(scores_QN.shape[1]), scores_QN.shape)
    if ties == "stable":
        return Order(item_QN, position_QN, np.broadcast_to(np.int64(1), scores_QN.shape))
    sorted_QN = np.take_along_axis(scores_QN, item_QN, axis=1)
    first_QN = np.ones(scores_QN.shape, dtype=bool)
    first_QN[:, 1:] = sorted_QN[:, 1:] != sorted_QN[:, :-1]
    last_QN = np.roll(first_QN, -1, axis=1)
    start_QN = np.maximum.accumulate(np.where(first_QN, position_QN, 0), axis=1)
    end_QN = np.where(last_QN, position_QN + 1, scores_QN.shape[1])
    end_QN = np.minimum.accumulate(end_QN[:, ::-1], axis=1)[:, ::-1]
    return Order(item_QN, start_QN, end_QN - start_QN)


def per_query(
    metric: Callable[[Ranking], Floats], scores: ArrayLike, relevant: ArrayLike, ties: Ties
) -> Floats:
    """Apply a metric of rankings to scores and relevance [Q, N], block by block; returns [Q].

    Raises CrossRayError for shapes that do not fit, NaN, non-boolean relevance or unknown rules.
    """
    scores_QN, relevant_QN = np.asarray(scores), arrays.as_bools("the relevance", relevant)
    arrays.check_same_shape(scores_QN, relevant_QN)
    if scores_QN.shape[0] == 0:
        raise CrossRayError("there is no query to evaluate: pass at least one row of scores.")
    return np.concatenate(
        [
            metric(order(scores_QN[rows], ties).place(relevant_QN[rows]))
            for rows in arrays.row_blocks(*scores_QN.shape)
        ]
    )


def at_random(metric: Callable[[CountedRanking], Floats], relevant_Q: Ints, items: int) -> Floats:
    """Expected value of a metric under a uniformly random order of `items`; [Q].

    It depends only on a query's number of relevant items, `relevant_Q`.
    """
    counts_U, of_Q = np.unique(relevant_Q, return_inverse=True)
    values = [
        metric(CountedRanking.at_random(counts_U[rows], items))
        for rows in arrays.row_blocks(len(counts_U), items)
    ]
    values_Q: Floats = np.concatenate(values)[of_Q]
    return values_Q


def chance_of_hits(hits: int, size_Q: Ints, relevant_Q: Ints, taken_Q: Ints) -> Floats:
    r"""Probability that `taken` items drawn from a block hold exactly `hits` relevant ones, [Q].

    $$P(h) = \binom{r}{h} \binom{n-r}{m-h} \Big/ \binom{n}{m}$$

    for a block of $n$ (`size`) items of which $r$ are relevant and $m$ are taken; 0 or 1 for a
    block of which all items are taken.
    """
    chance_Q: Floats = (relevant_Q == hits).astype(np.float64)
    split_Q = taken_Q < size_Q
    if split_Q.any():
        from scipy.stats import hypergeom  # a second to import, and without ties not needed

        chance_Q[split_Q] = hypergeom.pmf(
            hits, size_Q[split_Q], relevant_Q[split_Q], taken_Q[split_Q]
        )
    return chance_Q
