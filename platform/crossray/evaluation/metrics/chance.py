"""Chance level: what a metric is worth, on expectation, when the ranking is random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossray.evaluation.metrics.arrays import Floats, Ints, row_blocks
from crossray.evaluation.metrics.ranking import Ranking


def at_random(metric: Callable[[Ranking], Floats], relevant_Q: Ints, items: int) -> Floats:
    """Expected value of a metric of rankings under a uniformly random order; [Q].

    Equal scores under the tie rule `expected` are one block of the whole database, so a query's
    value depends only on its number of relevant items, `relevant_Q`, among `items`.
    """
    counts_U, of_Q = np.unique(relevant_Q, return_inverse=True)
    values = [
        metric(_one_block(counts_U[rows], items)) for rows in row_blocks(len(counts_U), items)
    ]
    values_Q: Floats = np.concatenate(values)[of_Q]
    return values_Q


def _one_block(relevant_Q: Ints, items: int) -> Ranking:
    shape = (len(relevant_Q), items)
    nothing_QN = np.broadcast_to(np.int64(0), shape)
    return Ranking(
        start_QN=nothing_QN,
        size_QN=np.broadcast_to(np.int64(items), shape),
        hits_QN=np.broadcast_to(relevant_Q[:, None], shape),
        before_QN=nothing_QN,
        relevant_Q=relevant_Q,
    )
