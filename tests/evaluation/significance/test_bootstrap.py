"""The bootstrap against SciPy, against closed forms, and on systems that are known to differ."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats

from crossray.core.errors import CrossRayError
from crossray.evaluation import (
    confidence_interval,
    confidence_intervals,
    paired_bootstrap,
    paired_bootstraps,
)
from crossray.evaluation.significance import bootstrap
from crossray.evaluation.significance.bootstrap import ratio_of_means


def test_identical_systems_are_not_told_apart() -> None:
    """Every comparison would come out significant."""
    a = np.random.default_rng(0).random(200)
    result = paired_bootstrap(a, a)
    assert result.p_value == 1.0
    assert (result.mean_difference, result.low, result.high) == (0.0, 0.0, 0.0)


def test_a_known_shift_is_detected_and_has_its_sign() -> None:
    """A real improvement would be reported as noise, or with the wrong sign."""
    rng = np.random.default_rng(1)
    b = rng.normal(size=300)
    a = b + 0.1 + rng.normal(scale=0.2, size=300)
    result = paired_bootstrap(a, b, seed=3)
    assert result.p_value < 0.001
    assert 0 < result.low < result.mean_difference < result.high
    mirrored = paired_bootstrap(b, a, seed=3)
    assert mirrored.mean_difference == pytest.approx(-result.mean_difference)
    assert mirrored.p_value == result.p_value


def test_p_values_of_equal_systems_are_uniform() -> None:
    """The false positives of a test at level 0.05 would not be 5 %."""
    rng = np.random.default_rng(2)
    p = [
        paired_bootstrap(rng.random(80), rng.random(80), resamples=500, seed=i).p_value
        for i in range(200)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_the_p_value_is_close_to_that_of_the_paired_t_test() -> None:
    """The primary and the secondary test of a study would contradict each other."""
    rng = np.random.default_rng(4)
    b = rng.normal(size=400)
    a = b + 0.05 + rng.normal(scale=0.5, size=400)
    expected = stats.ttest_rel(a, b).pvalue
    assert paired_bootstrap(a, b).p_value == pytest.approx(expected, rel=0.25, abs=0.01)


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("size", [40, 41])
def test_intervals_are_those_of_scipy(statistic: str, size: int) -> None:
    """The intervals of a report would not be the 95 % percentile intervals it names."""
    values = np.random.default_rng(size).gamma(2.0, size=size)
    function = {"mean": np.mean, "median": np.median}[statistic]
    oracle = stats.bootstrap(
        (values,), function, n_resamples=20_000, method="percentile", rng=5
    ).confidence_interval
    interval = confidence_interval(values, statistic=statistic, resamples=20_000, seed=6)
    np.testing.assert_allclose(interval, oracle, rtol=0.03)


def test_resampled_medians_are_medians_of_the_drawn_values() -> None:
    """The interval of the median rank would be off by one rank for even numbers of queries."""
    rng = np.random.default_rng(9)
    values = np.sort(rng.integers(1, 9, size=12)).astype(float)
    counts = rng.integers(0, 3, size=(50, 12))
    counts[:, 0] += 1
    expected = [np.median(np.repeat(values, row)) for row in counts]
    np.testing.assert_array_equal(bootstrap._medians(values, counts), expected)


def test_groups_are_drawn_whole() -> None:
    """Five copies of each query (captions, seeds) would make an interval look far too sure."""
    values = np.random.default_rng(10).random(60)
    ids = np.arange(60)
    single = confidence_interval(values, seed=1)
    pooled = confidence_interval(np.tile(values, 5), seed=1, groups=np.tile(ids, 5))
    np.testing.assert_allclose(pooled, single)
    naive = confidence_interval(np.tile(values, 5), seed=1)
    assert naive[1] - naive[0] < 0.6 * (single[1] - single[0])
    a, b = values, values + np.random.default_rng(11).normal(scale=0.1, size=60)
    one = paired_bootstrap(a, b)
    five = paired_bootstrap(np.tile(a, 5), np.tile(b, 5), groups=np.tile(ids, 5))
    assert five.p_value == one.p_value


def test_groups_of_unequal_size_keep_the_mean_over_queries() -> None:
    """Images with many captions would weigh as much as images with one."""
    rng = np.random.default_rng(12)
    groups = np.repeat(np.arange(30), rng.integers(1, 6, size=30))
    values = rng.random(len(groups)) + groups / 30
    low, high = confidence_interval(values, groups=groups, seed=2)
    means = []
    for _ in range(4000):
        drawn = rng.integers(30, size=30)
        means.append(np.concatenate([values[groups == g] for g in drawn]).mean())
    np.testing.assert_allclose((low, high), np.percentile(means, [2.5, 97.5]), rtol=0.03)


def test_a_seed_repeats_the_result_and_empty_queries_are_left_out() -> None:
    """Two runs of one evaluation would differ, or one query without an answer would spoil both."""
    rng = np.random.default_rng(13)
    a, b = rng.random(50), rng.random(50)
    assert paired_bootstrap(a, b, seed=7) == paired_bootstrap(a, b, seed=7)
    assert paired_bootstrap(a, b, seed=7) != paired_bootstrap(a, b, seed=8)
    gap = [np.nan]
    with_gap = paired_bootstrap(np.append(a, gap), np.append(b, gap), seed=7)
    assert with_gap == paired_bootstrap(a, b, seed=7)


def test_several_metrics_together_are_each_metric_alone() -> None:
    """The figures of a table would depend on which other columns it has."""
    rng = np.random.default_rng(14)
    groups = rng.integers(0, 25, size=70)
    gap = rng.random(70) < 0.2
    a, b = ({name: rng.random(70) for name in ("recall", "rare", "AP", "rank")} for _ in range(2))
    for system in (a, b):
        system["rare"][gap] = np.nan
    together = paired_bootstraps(a, b, resamples=500, seed=3, groups=groups)
    assert list(together) == list(a)
    for name, result in together.items():
        alone = paired_bootstrap(a[name], b[name], resamples=500, seed=3, groups=groups)
        assert astuple(result) == pytest.approx(astuple(alone), abs=1e-12)
    intervals = confidence_intervals(a, {"rank": "median", "rare": "median"}, 500, 4, groups)
    assert list(intervals) == list(a)
    for name, interval in intervals.items():
        statistic = "median" if name in ("rank", "rare") else "mean"
        alone = confidence_interval(a[name], statistic, 500, 4, groups)
        assert interval == pytest.approx(alone, abs=1e-12)


def test_resamples_are_those_of_an_index_loop() -> None:
    """Counting draws and multiplying would compute another statistic than drawing queries."""
    rng = np.random.default_rng(15)
    values = {"a": rng.random(30), "b": rng.integers(0, 2, size=30).astype(float)}
    draws = np.random.default_rng(6).integers(30, size=(400, 30))
    for name, interval in confidence_intervals(values, {}, resamples=400, seed=6).items():
        means = [values[name][drawn].mean() for drawn in draws]
        np.testing.assert_allclose(interval, np.percentile(means, [2.5, 97.5]), atol=1e-12)


def test_values_that_cannot_be_paired_are_refused() -> None:
    """Systems evaluated on different queries would be compared."""
    with pytest.raises(CrossRayError, match="same queries"):
        paired_bootstrap([1.0, 2.0], [1.0])
    with pytest.raises(CrossRayError, match="same queries"):
        paired_bootstrap([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(CrossRayError, match="same metrics"):
        paired_bootstraps({"AP": [1.0]}, {"recall": [1.0]})
    with pytest.raises(CrossRayError, match="every value is NaN"):
        confidence_interval([np.nan])
    with pytest.raises(CrossRayError, match="one group a query"):
        confidence_interval([1.0, 2.0], groups=["a"])
    with pytest.raises(CrossRayError, match="mean, median"):
        confidence_interval([1.0], statistic="mode")  # type: ignore[arg-type]
    with pytest.raises(CrossRayError, match="resamples"):
        paired_bootstrap([1.0], [2.0], resamples=0)


def test_ratio_of_means_draws_the_same_queries() -> None:
    """A share of a score that was drawn from other queries would spread for no reason."""
    rng = np.random.default_rng(8)
    b_Q = rng.random(60)
    exact = ratio_of_means(0.3 * b_Q, b_Q, resamples=300)
    assert (exact.value, exact.low, exact.high) == pytest.approx((0.3, 0.3, 0.3))
    a_Q = np.where(np.arange(60) % 7 == 0, np.nan, rng.random(60))
    b_Q = np.where(np.isnan(a_Q), np.nan, b_Q)
    found = ratio_of_means(a_Q, b_Q, resamples=4000, seed=1)
    assert found.value == pytest.approx(np.nanmean(a_Q) / np.nanmean(b_Q))
    kept = ~np.isnan(a_Q)
    ratios = []
    for _ in range(4000):
        drawn = rng.choice(np.flatnonzero(kept), kept.sum())
        ratios.append(a_Q[drawn].mean() / b_Q[drawn].mean())
    low, high = np.percentile(ratios, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.03)
    assert found.high == pytest.approx(high, abs=0.03)
    with pytest.raises(CrossRayError, match="a mean of 0 says nothing"):
        ratio_of_means([0.5, 0.5], [0.0, 0.0])
