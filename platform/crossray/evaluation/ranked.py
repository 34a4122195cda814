"""What ranks a database for its queries: scores in blocks, or codes by their Hamming distance."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.hamming.counts import hamming_counts
from crossray.evaluation.metrics.arrays import Bools, Ints, row_blocks
from crossray.evaluation.metrics.ranking import CountedRanking, Order, Ranking, order
from crossray.evaluation.metrics.relevance import check_same_items, own_columns, without_own
from crossray.evaluation.protocols.protocol import Protocol
from crossray.evaluation.protocols.rules import BoundRule

ScoreBlocks = Callable[[int, int], ArrayLike]


class PackedCodes(NamedTuple):
    """Packed codes of queries [Q, K / 8] and items [N, K / 8], eight bits a byte."""

    query_QY: ArrayLike
    item_NY: ArrayLike


@dataclass(frozen=True)
class OrderedScores:
    """The order of the items for a slice of the queries."""

    order: Order
    rows: slice
    leave_one_out: bool

    def under(self, rule: BoundRule) -> Ranking:
        """The ranking under a relevance rule."""
        return self.order.place(rule.relevant(self.rows))

    def carrying(self, queries_M: Ints, carries_N: Bools) -> Ranking:
        """The ranking for a few of the queries where the items [N] of a label are relevant."""
        relevant_MN = np.broadcast_to(carries_N, (queries_M.size, carries_N.size))
        if self.leave_one_out:
            relevant_MN = without_own(relevant_MN, self.rows.start + queries_M)
        return self.order.take(queries_M).place(relevant_MN)


@dataclass(frozen=True)
class RankedCodes:
    """All items by their distance from all queries; nothing is sorted."""

    query_QY: NDArray[Any]
    item_NY: NDArray[Any]

    def under(self, rule: BoundRule) -> CountedRanking:
        """The ranking under a rule of labels."""
        assert rule.labels is not None
        return hamming_counts(self.query_QY, self.item_NY, *rule.labels)

    def carrying(self, queries_M: Ints, carries_N: Bools) -> CountedRanking:
        """The ranking for a few of the queries where the items [N] of a label are relevant."""
        carries_M1 = np.ones((len(queries_M), 1), dtype=bool)
        return hamming_counts(
            self.query_QY[queries_M], self.item_NY, carries_M1, carries_N[:, None]
        )


Ranked = OrderedScores | RankedCodes


def ranked_blocks(
    ranked: ArrayLike | ScoreBlocks | PackedCodes,
    query_Q: NDArray[Any],
    item_N: NDArray[Any],
    protocol: Protocol,
) -> Iterator[tuple[slice, Ranked]]:
    """Yield slices over the queries, each with its ranked items; see `evaluate_direction`.

    Raises CrossRayError, when called, for shapes that do not fit, and for scores in place of codes
    or the other way round.
    """
    queries, items = query_Q.size, item_N.size
    if queries == 0 or items == 0:
        raise CrossRayError(
            f"there is nothing to evaluate in {queries} queries and {items} items: check the split "
            f"that was chosen."
        )
    if isinstance(ranked, PackedCodes) != (protocol.ranked_by == "hamming"):
        raise CrossRayError(
            f"protocol {protocol.name!r} ranks scores, not codes: give a matrix of scores."
            if isinstance(ranked, PackedCodes)
            else f"protocol {protocol.name!r} ranks codes by their Hamming distance, not scores: "
            f"give `PackedCodes`."
        )
    if isinstance(ranked, PackedCodes):
        codes = RankedCodes(np.asarray(ranked.query_QY), np.asarray(ranked.item_NY))
        return iter([(slice(0, queries), codes)])
    if protocol.leave_one_out:
        check_same_items(query_Q, item_N)
    if callable(ranked):
        return _ordered(ranked, queries, items, protocol)
    scores_QN = np.asarray(ranked)
    _check_block(scores_QN, slice(0, queries), items)
    return _ordered(lambda start, stop: scores_QN[start:stop], queries, items, protocol)


def _ordered(
    scores: ScoreBlocks, queries: int, items: int, protocol: Protocol
) -> Iterator[tuple[slice, Ranked]]:
    """Blocks of scores in order, without the item that is the query under leave-one-out."""
    for rows in row_blocks(queries, items - protocol.leave_one_out):
        scores_BN = np.asarray(scores(rows.start, rows.stop))
        _check_block(scores_BN, rows, items)
        if protocol.leave_one_out:
            scores_BN = without_own(scores_BN, own_columns(rows))
        yield rows, OrderedScores(order(scores_BN, protocol.ties), rows, protocol.leave_one_out)


def _check_block(scores_QN: NDArray[Any], rows: slice, items: int) -> None:
    if scores_QN.shape != (rows.stop - rows.start, items):
        raise CrossRayError(
            f"the scores of queries {rows.start} to {rows.stop} have the shape {scores_QN.shape} "
            f"for {items} items: give one row a query and one column an item."
        )
