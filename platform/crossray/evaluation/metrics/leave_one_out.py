"""Leave-one-out: queries that are items of the database, each taken out of it while it asks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Ints


def without_own(values_BN: NDArray[Any], own_B: Ints) -> NDArray[Any]:
    """Return the values [B, N - 1] of all items but each query's own, in the database's order.

    `own_B` are the columns of the queries themselves.
    """
    other_BN = np.ones(values_BN.shape, dtype=bool)
    other_BN[np.arange(len(own_B)), own_B] = False
    return values_BN[other_BN].reshape(len(own_B), -1)


def own_columns(rows: slice) -> Ints:
    """The columns [B] of the queries of a slice: query i is item i."""
    return np.arange(rows.start, rows.stop)


def check_same_items(query_ids: NDArray[Any], item_ids: NDArray[Any]) -> None:
    """Raise CrossRayError unless the queries are the database, row by row, with two items."""
    if not np.array_equal(query_ids, item_ids) or len(item_ids) < 2:
        raise CrossRayError(
            f"leave-one-out takes each query out of a database of at least 2 items that are the "
            f"queries, row by row, but there are {len(query_ids)} queries and {len(item_ids)} "
            f"items, or their ids differ: pass the same items as both."
        )
