"""The paired permutation test over queries: signs of the differences are flipped."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Floats, check_cutoff, paired_difference, row_blocks

PERMUTATIONS = 10_000


@dataclass(frozen=True)
class PermutationResult:
    """Mean of a - b, the two-sided p-value of no difference, and whether all flips were tried."""

    mean_difference: float
    p_value: float
    exact: bool


def paired_permutation(
    a_Q: ArrayLike,
    b_Q: ArrayLike,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> PermutationResult:
    r"""Compare two systems on the same queries by flipping signs (Fisher 1935).

    Where the systems are exchangeable, $d_q = a_q - b_q$ and $-d_q$ are equally likely:

    $$p = P\Bigl(\Bigl|\sum_g \epsilon_g d_g\Bigr| \ge \Bigl|\sum_g d_g\Bigr|\Bigr), \qquad
      \epsilon_g \in \{-1, +1\}, \qquad d_g = \sum_{q \in g} d_q$$

    Exact, over all 2^G flips of the G groups whose sum is not 0, where these are no more than
    `permutations`; else estimated as (1 + hits) / (1 + permutations) from random flips. Each of
    the `groups` is flipped as one: give the query ids to pool the captions of an image or several
    seeds. By default each query is its own group. NaN is left out and must mark the same queries
    in both systems. Raises CrossRayError for shapes that do not fit and when no query is left.
    """
    check_cutoff("the number of permutations", permutations)
    difference_Q = paired_difference(a_Q, b_Q)
    group_Q = np.arange(difference_Q.size) if groups is None else np.asarray(groups)
    kept_Q = ~np.isnan(difference_Q)
    if difference_Q.ndim != 1 or group_Q.shape != difference_Q.shape or not kept_Q.any():
        raise CrossRayError(
            f"the permutation test needs one value and one group a query, and a value that is not "
            f"NaN, but got arrays of shape {difference_Q.shape} and {group_Q.shape}: pass flat "
            f"arrays of one length and look at the relevance of the queries."
        )
    cluster_Q = np.unique(group_Q[kept_Q], return_inverse=True)[1]
    sum_G = np.bincount(cluster_Q, difference_Q[kept_Q])
    mean = float(difference_Q[kept_Q].mean())
    sum_G = sum_G[sum_G != 0]
    exact = bool(sum_G.size < 63 and 2**sum_G.size <= permutations)
    signs = _all_signs(sum_G.size) if exact else _random_signs(sum_G.size, permutations, seed)
    # The slack counts flips that equal the observed sum but for rounding.
    least = abs(sum_G.sum()) - 1e-12 * max(1.0, np.abs(sum_G).sum())
    hits = sum(int((np.abs(sign_SG @ sum_G) >= least).sum()) for sign_SG in signs)
    p_value = hits / 2**sum_G.size if exact else (1 + hits) / (1 + permutations)
    return PermutationResult(mean, p_value, exact)


def _all_signs(groups: int) -> Iterator[Floats]:
    """Yield blocks [S, G] of all 2^G rows of signs."""
    for rows in row_blocks(2**groups, groups):
        bits_SG = np.arange(rows.start, rows.stop)[:, None] >> np.arange(groups) & 1
        yield np.asarray(1.0 - 2.0 * bits_SG, dtype=np.float64)


def _random_signs(groups: int, permutations: int, seed: int) -> Iterator[Floats]:
    """Yield blocks [S, G] of random signs."""
    rng = np.random.default_rng(seed)
    for rows in row_blocks(permutations, groups):
        count = rows.stop - rows.start
        bits_SG = np.unpackbits(
            rng.integers(256, size=(count, -(-groups // 8)), dtype=np.uint8), axis=1, count=groups
        )
        yield np.asarray(1.0 - 2.0 * bits_SG, dtype=np.float64)
