"""The Pareto front of several costs, and the point of it that gives up least of each."""

import numpy as np
from numpy.typing import NDArray

from crossray.evaluation.metrics.arrays import Floats


def pareto_front(costs_ND: Floats) -> NDArray[np.bool_]:
    """`front_N`: rows that no other row beats; smaller is better in every column.

    A row beats another if it is no worse anywhere and better somewhere; equal rows stand together.
    """
    no_worse_NM = np.all(costs_ND[:, None] <= costs_ND[None], axis=2)
    better_NM = np.any(costs_ND[:, None] < costs_ND[None], axis=2)
    front_N: NDArray[np.bool_] = np.logical_not(np.any(no_worse_NM & better_NM, axis=0))
    return front_N


def knee(costs_ND: Floats) -> int:
    """The row of the front nearest to its ideal point, every column scaled to [0, 1] on the front.

    The compromise solution for the Euclidean distance (Yu 1973); of equals the first. Expects a row
    or more.
    """
    rows = np.flatnonzero(pareto_front(costs_ND))
    front_MD = costs_ND[rows]
    low_D, span_D = front_MD.min(axis=0), np.ptp(front_MD, axis=0)
    scaled_MD = (front_MD - low_D) / np.where(span_D > 0, span_D, 1.0)
    return int(rows[np.linalg.norm(scaled_MD, axis=1).argmin()])
