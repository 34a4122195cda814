"""Bootstrap over queries: confidence intervals and the paired test of two systems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.arrays import BLOCK_ELEMENTS, Floats, Ints, check_choice, check_cutoff

Statistic = Literal["mean", "median"]
STATISTICS: tuple[Statistic, ...] = ("mean", "median")
RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class BootstrapResult:
    """Mean of a - b, its 95 % percentile interval and the two-sided p-value of no difference."""

    mean_difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    a_Q: ArrayLike,
    b_Q: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> BootstrapResult:
    r"""Compare two systems on the same queries (Efron & Tibshirani 1993, chapters 13 and 16).

    $$\delta = \frac{1}{|Q|} \sum_q (a_q - b_q), \qquad
      p = \frac{1 + \#\{|\delta^* - \delta| \ge |\delta|\}}{1 + \text{resamples}}$$

    Whole `groups` are drawn with replacement, each value of a group together: to pool several
    seeds, concatenate their values and give the query ids as groups. By default each query is its
    own group. NaN (a query without a relevant item) is left out and must mark the same queries in
    both systems. Raises CrossRayError for shapes that do not fit and when no query is left.
    """
    a, b = np.asarray(a_Q, dtype=np.float64), np.asarray(b_Q, dtype=np.float64)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        raise CrossRayError(
            f"a paired test needs one value of both systems for each query, but their shapes "
            f"{a.shape} and {b.shape} or their empty queries differ: evaluate both on the same "
            f"queries and relevance."
        )
    difference_Q, cluster_Q = _kept(a - b, groups)
    observed = float(difference_Q.mean())
    means = _resampled(difference_Q, cluster_Q, "mean", resamples, seed)
    # The slack counts resamples that equal the observed difference but for rounding.
    extreme = int((np.abs(means - observed) >= abs(observed) - 1e-12).sum())
    low, high = _percentiles(means)
    return BootstrapResult(observed, low, high, (1 + extreme) / (1 + resamples))


def confidence_interval(
    values_Q: ArrayLike,
    statistic: Statistic = "mean",
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean or the median over the queries.

    Groups and NaN are treated as in `paired_bootstrap`. Raises CrossRayError for an unknown
    statistic, groups that do not fit, and when no query is left.
    """
    check_choice("the statistic", statistic, STATISTICS)
    return _percentiles(
        _resampled(*_kept(np.asarray(values_Q), groups), statistic, resamples, seed)
    )


def _kept(values: ArrayLike, groups: ArrayLike | None) -> tuple[Floats, Ints]:
    """Return the values that are not NaN and the number of the group that each belongs to."""
    values_Q = np.asarray(values, dtype=np.float64)
    group_Q = np.arange(values_Q.size) if groups is None else np.asarray(groups)
    if values_Q.ndim != 1 or group_Q.shape != values_Q.shape:
        raise CrossRayError(
            f"the bootstrap needs one value and one group a query, not arrays of shape "
            f"{values_Q.shape} and {group_Q.shape}: pass flat arrays of one length."
        )
    kept_Q = ~np.isnan(values_Q)
    if not kept_Q.any():
        raise CrossRayError(
            "the bootstrap has no query to draw from: every value is NaN, so look at the "
            "relevance of the queries."
        )
    return values_Q[kept_Q], np.unique(group_Q[kept_Q], return_inverse=True)[1]


def _resampled(
    values_Q: Floats, cluster_Q: Ints, statistic: Statistic, resamples: int, seed: int
) -> Floats:
    """Return the statistic of each resample of whole clusters."""
    check_cutoff("the number of resamples", resamples)
    draws = _draws(int(cluster_Q.max()) + 1, values_Q.size, resamples, seed)
    if statistic == "mean":
        sum_G, size_G = np.bincount(cluster_Q, values_Q), np.bincount(cluster_Q)
        return np.concatenate([(count_SG @ sum_G) / (count_SG @ size_G) for count_SG in draws])
    ascending = np.argsort(values_Q)
    sorted_Q, cluster_Q = values_Q[ascending], cluster_Q[ascending]
    return np.concatenate([_medians(sorted_Q, count_SG[:, cluster_Q]) for count_SG in draws])


def _draws(clusters: int, values: int, resamples: int, seed: int) -> Iterator[Ints]:
    """Yield blocks [S, G] of how often each resample drew each cluster."""
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK_ELEMENTS // max(clusters, values))
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn_SG = rng.integers(clusters, size=(block, clusters))
        drawn_SG += clusters * np.arange(block)[:, None]
        yield np.bincount(drawn_SG.ravel(), minlength=drawn_SG.size).reshape(block, clusters)


def _medians(sorted_Q: Floats, count_SQ: Ints) -> Floats:
    """Medians of ascending values, each repeated `count` times; one median a row of counts."""
    through_SQ = np.cumsum(count_SQ, axis=1)
    total_S = through_SQ[:, -1:]
    lower_S = np.argmax(through_SQ >= (total_S + 1) // 2, axis=1)
    upper_S = np.argmax(through_SQ >= total_S // 2 + 1, axis=1)
    medians: Floats = (sorted_Q[lower_S] + sorted_Q[upper_S]) / 2
    return medians


def _percentiles(statistics: Floats) -> tuple[float, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(statistics, [tail, 100 - tail])
    return float(low), float(high)
