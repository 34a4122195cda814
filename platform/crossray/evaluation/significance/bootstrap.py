"""Bootstrap over queries: confidence intervals and the paired test of two systems."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics import arrays
from crossray.evaluation.metrics.arrays import Bools, Floats, Ints

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

    `groups` are drawn with replacement, all values of a group together: to pool several
    seeds, concatenate their values and give the query ids as groups. By default each query is its
    own group. NaN (a query without a relevant item) is left out and must mark the same queries in
    both systems. Raises CrossRayError for shapes that do not fit and when no query is left.
    """
    return paired_bootstraps({"": a_Q}, {"": b_Q}, resamples, seed, groups)[""]


def paired_bootstraps(
    a: Mapping[str, ArrayLike],
    b: Mapping[str, ArrayLike],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, BootstrapResult]:
    """Compare two systems by several metrics, each of which has [Q] values of the same queries.

    The result of each metric is that of `paired_bootstrap`, up to rounding; metrics without values
    for the same queries share their resamples. Raises what `paired_bootstrap` raises, and
    CrossRayError when the systems have different metrics.
    """
    if a.keys() != b.keys():
        raise CrossRayError(
            f"a paired test needs the same metrics of both systems, not {', '.join(a)} and "
            f"{', '.join(b)}: evaluate both under one protocol."
        )
    differences = {name: arrays.paired_difference(a[name], b[name]) for name in a}
    results = {}
    for name, kept_Q, means in _resampled(differences, {}, resamples, seed, groups):
        observed = float(kept_Q.mean())
        # The slack counts resamples that equal the observed difference but for rounding.
        extreme = int((np.abs(means - observed) >= abs(observed) - 1e-12).sum())
        p_value = (1 + extreme) / (1 + resamples)
        results[name] = BootstrapResult(observed, *_percentiles(means), p_value)
    return {name: results[name] for name in a}


@dataclass(frozen=True)
class Ratio:
    """The mean of a over that of b, and its 95 % percentile interval."""

    value: float
    low: float
    high: float


def ratio_of_means(
    a_Q: ArrayLike,
    b_Q: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Ratio:
    r"""How much of system b's mean system a reaches on the same queries, $\bar a / \bar b$.

    Each resample draws the same queries for both. Groups and NaN are treated as in
    `paired_bootstrap`. Raises what that raises, and CrossRayError where b's mean is 0, of which
    nothing is a share, in the values or in a resample.
    """
    arrays.paired_difference(a_Q, b_Q)
    drawn = {name: (kept_Q.mean(), means) for name, kept_Q, means in _resampled(
        {"a": a_Q, "b": b_Q}, {}, resamples, seed, groups
    )}  # fmt: skip
    (a, a_S), (b, b_S) = drawn["a"], drawn["b"]
    if b == 0 or not b_S.all():
        raise CrossRayError(
            "a ratio to a mean of 0 says nothing: compare with a system that finds something."
        )
    return Ratio(float(a / b), *_percentiles(a_S / b_S))


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
    return confidence_intervals({"": values_Q}, {"": statistic}, resamples, seed, groups)[""]


def confidence_intervals(
    values: Mapping[str, ArrayLike],
    statistics: Mapping[str, Statistic],
    resamples: int = RESAMPLES,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> dict[str, tuple[float, float]]:
    """Return the 95 % percentile intervals of several metrics, each of [Q] values.

    `statistics` names what reduces a metric over the queries, where it is not the mean. Each
    interval is that of `confidence_interval`, up to rounding; metrics without values for the same
    queries share their resamples. Raises what `confidence_interval` raises.
    """
    for statistic in statistics.values():
        arrays.check_choice("the statistic", statistic, STATISTICS)
    drawn = _resampled(values, statistics, resamples, seed, groups)
    intervals = {name: _percentiles(resampled) for name, _, resampled in drawn}
    return {name: intervals[name] for name in values}


def _resampled(
    values: Mapping[str, ArrayLike],
    statistics: Mapping[str, Statistic],
    resamples: int,
    seed: int,
    groups: ArrayLike | None,
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield each metric's name, its values that are not NaN and its statistic of each resample."""
    arrays.check_cutoff("the number of resamples", resamples)
    kept = {name: _kept(value, groups) for name, value in values.items()}
    # Metrics that miss other queries have other groups to draw from.
    shared: dict[bytes, list[str]] = {}
    for name, (_, kept_Q, _) in kept.items():
        shared.setdefault(np.packbits(kept_Q).tobytes(), []).append(name)
    for names in shared.values():
        cluster_Q = kept[names[0]][2]
        values_QM = np.stack([kept[name][0] for name in names], axis=1)
        chosen = [statistics.get(name, "mean") for name in names]
        resampled_MS = _statistics(values_QM, cluster_Q, chosen, resamples, seed)
        yield from zip(names, values_QM.T, resampled_MS, strict=True)


def _kept(values: ArrayLike, groups: ArrayLike | None) -> tuple[Floats, Bools, Ints]:
    """Return the values that are not NaN, which these are, and the number of each one's group."""
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
    return values_Q[kept_Q], kept_Q, np.unique(group_Q[kept_Q], return_inverse=True)[1]


def _statistics(
    values_QM: Floats,
    cluster_Q: Ints,
    statistics: list[Statistic],
    resamples: int,
    seed: int,
) -> Floats:
    """Return [M, resamples] statistics of resamples of clusters, the same for all metrics.

    A mean needs of a resample only how often each cluster was drawn: the means of all metrics are
    one matrix product of these counts and the sums by cluster.
    """
    size_G = np.bincount(cluster_Q)
    sum_GM = np.stack([np.bincount(cluster_Q, column) for column in values_QM.T], axis=1)
    medians = [m for m, statistic in enumerate(statistics) if statistic == "median"]
    order_QM = np.argsort(values_QM, axis=0)
    result_MS = np.empty((len(statistics), resamples))
    done = 0
    for count_SG in _draws(size_G.size, cluster_Q.size, resamples, seed):
        block = slice(done, done := done + len(count_SG))
        # In floats the products are done by BLAS, and the counts stay exact.
        weight_SG = count_SG.astype(np.float64)
        result_MS[:, block] = (weight_SG @ sum_GM).T / (weight_SG @ size_G)
        for m in medians:
            order_Q = order_QM[:, m]
            count_SQ = count_SG[:, cluster_Q[order_Q]]
            result_MS[m, block] = _medians(values_QM[order_Q, m], count_SQ)
    return result_MS


def _draws(clusters: int, values: int, resamples: int, seed: int) -> Iterator[Ints]:
    """Yield blocks [S, G] of how often each resample drew each cluster."""
    rng = np.random.default_rng(seed)
    rows = max(1, arrays.BLOCK_ELEMENTS // max(clusters, values))
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
