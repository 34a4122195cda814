r"""Rankings under the two tie rules, in one representation that every metric reads.

A ranking is a sequence of tie blocks. Under `stable` (order by (-score, database index)) each
position is a block of its own; under `expected` a block holds all items of one score, and a metric
is its expectation over the random order inside the blocks. For a block of $n$ items with $r$
relevant, preceded by $s$ items of which $c$ are relevant, every position of the block knows
$(s, n, r, c)$; the metrics are written once in these terms, and $n = 1$ gives the ordinary formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import (
    Bools,
    Floats,
    Ints,
    as_bools,
    as_scores,
    check_choice,
    check_same_shape,
    row_blocks,
)

Ties = Literal["stable", "expected"]
TIES: tuple[Ties, ...] = ("stable", "expected")


@dataclass(frozen=True)
class Cut:
    """The tie block in which a rank cut-off falls, one value a query.

    `taken` of its `size` items stand above the cut-off; `hits` of the whole block are relevant,
    and so are `before` of the items above the block.
    """

    taken_Q: Ints
    size_Q: Ints
    hits_Q: Ints
    before_Q: Ints


class Cuttable(Protocol):
    """What metrics of the first K read: a `Ranking`, or the counts of a Hamming ranking."""

    @property
    def relevant_Q(self) -> Ints:  # noqa: N802, an array [Q]
        """Relevant items in the whole database, [Q]."""

    def cut(self, k: int) -> Cut:
        """The tie blocks at rank `k`."""


@dataclass(frozen=True)
class Ranking:
    """Ranked relevance of a block of queries; columns are positions, the best first.

    For the tie block of each position: `start` (s) items and `before` (c) relevant items precede
    it, `size` (n) items are in it, `hits` (r) of them relevant. `relevant_Q` counts the relevant
    items in the whole database.
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
        """Return the tie blocks at rank `k`; beyond the last item the last block, taken whole."""
        last = min(k, self.items) - 1
        return Cut(
            taken_Q=last + 1 - self.start_QN[:, last],
            size_Q=self.size_QN[:, last],
            hits_Q=self.hits_QN[:, last],
            before_Q=self.before_QN[:, last],
        )


@dataclass(frozen=True)
class Order:
    """A sorted block of scores: item index, block start and block size at each position."""

    item_QN: Ints
    start_QN: Ints
    size_QN: Ints

    def take(self, rows: Ints) -> Order:
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
    check_choice("the tie rule", ties, TIES)
    scores_QN = as_scores(scores)
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
    scores_QN, relevant_QN = np.asarray(scores), as_bools("the relevance", relevant)
    check_same_shape(scores_QN, relevant_QN)
    if scores_QN.shape[0] == 0:
        raise CrossRayError("there is no query to evaluate: pass at least one row of scores.")
    return np.concatenate(
        [
            metric(order(scores_QN[rows], ties).place(relevant_QN[rows]))
            for rows in row_blocks(*scores_QN.shape)
        ]
    )
