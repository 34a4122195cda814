"""The t-test, the permutation test and the corrections against SciPy and slow loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crossray.core.errors import CrossRayError
from crossray.evaluation import bonferroni, holm, paired_permutation, paired_t_test

_P = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), max_size=8)


@pytest.mark.parametrize("seeds", [2, 5, 30])
def test_the_t_test_is_that_of_scipy(seeds: int) -> None:
    """Five seeds would be judged by another distribution than the report names."""
    rng = np.random.default_rng(seeds)
    a, b = rng.normal(size=(2, seeds))
    result, oracle = paired_t_test(a, b), stats.ttest_rel(a, b)
    assert result.statistic == pytest.approx(oracle.statistic)
    assert result.p_value == pytest.approx(oracle.pvalue)
    spread = stats.t.ppf(0.975, seeds - 1) * (a - b).std(ddof=1) / np.sqrt(seeds)
    assert result.mean_difference == pytest.approx((a - b).mean())
    assert (result.low, result.high) == pytest.approx(
        (result.mean_difference - spread, result.mean_difference + spread)
    )


def test_differences_without_spread_have_an_answer() -> None:
    """A deterministic method would give NaN, which no comparison takes for significant."""
    same = paired_t_test([0.5, 0.25], [0.5, 0.25])
    assert (same.mean_difference, same.statistic, same.p_value) == (0.0, 0.0, 1.0)
    shifted = paired_t_test([0.25, 0.5], [0.5, 0.75])
    assert (shifted.low, shifted.high) == (-0.25, -0.25)
    assert (shifted.statistic, shifted.p_value) == (-np.inf, 0.0)


def test_seeds_that_cannot_be_paired_are_refused() -> None:
    """Systems run with different seeds would be compared, or one lost run would spoil a table."""
    for a, b in (([1.0], [2.0]), ([1.0, 2.0], [1.0]), ([[1.0, 2.0]], [[1.0, 2.0]])):
        with pytest.raises(CrossRayError, match="same seeds"):
            paired_t_test(a, b)
    with pytest.raises(CrossRayError, match="NaN or infinite"):
        paired_t_test([1.0, np.nan], [1.0, 2.0])


@given(
    a=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_few_queries_are_judged_by_all_flips(a: list[int], seed: int) -> None:
    """Ties between flips would be lost to rounding, or counted on one side only."""
    rng = np.random.default_rng(seed)
    difference = np.array(a) / 10 - rng.integers(0, 4, size=len(a)) / 10
    groups = rng.integers(0, 5, size=len(a))
    sums = np.array([difference[groups == group].sum() for group in np.unique(groups)])
    flipped = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=len(sums))]
    expected = np.mean(np.array(flipped) >= abs(sums.sum()) - 1e-9)
    result = paired_permutation(difference, np.zeros(len(a)), groups=groups)
    assert result.exact
    assert result.p_value == pytest.approx(expected)
    assert result.mean_difference == pytest.approx(difference.mean())


def test_the_exact_test_is_that_of_scipy() -> None:
    """A user who checks a table by other software would find other numbers."""
    a, b = np.random.default_rng(1).random((2, 11))
    oracle = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert paired_permutation(a, b).p_value == pytest.approx(oracle.pvalue)


def test_random_flips_come_close_to_all_flips() -> None:
    """Beyond a dozen queries another test would answer."""
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 14)) + np.array([[0.15], [0.0]])
    exact = paired_permutation(a, b, permutations=2**14)
    drawn = paired_permutation(a, b, permutations=2**14 - 1, seed=3)
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.015)
    assert paired_permutation(a, b, 999, seed=4) == paired_permutation(a, b, 999, seed=4)
    assert paired_permutation(a, b, 999, seed=4) != paired_permutation(a, b, 999, seed=5)


def test_many_queries_agree_with_the_t_test_and_need_no_permutation_for_equal_systems() -> None:
    """The tests of one study would contradict each other."""
    rng = np.random.default_rng(5)
    b = rng.normal(size=3000)
    a = b + 0.02 + rng.normal(scale=0.5, size=3000)
    expected = stats.ttest_rel(a, b).pvalue
    assert paired_permutation(a, b).p_value == pytest.approx(expected, abs=0.01)
    assert paired_permutation(b, b).p_value == 1.0


def test_groups_are_flipped_whole_and_empty_queries_are_left_out() -> None:
    """Five captions of one photo would count as five independent queries."""
    a, b = np.random.default_rng(6).random((2, 12))
    one = paired_permutation(a, b)
    five = paired_permutation(np.tile(a, 5), np.tile(b, 5), groups=np.tile(np.arange(12), 5))
    assert five.p_value == one.p_value
    assert paired_permutation([*a, np.nan], [*b, np.nan]) == one


def test_values_that_cannot_be_permuted_are_refused() -> None:
    """Systems evaluated on different queries would be compared."""
    with pytest.raises(CrossRayError, match="same queries"):
        paired_permutation([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(CrossRayError, match="one value and one group"):
        paired_permutation([1.0, 2.0], [1.0, 2.0], groups=[1])
    with pytest.raises(CrossRayError, match="one value and one group"):
        paired_permutation([np.nan], [np.nan])
    with pytest.raises(CrossRayError, match="permutations"):
        paired_permutation([1.0], [2.0], permutations=0)


@given(p=_P)
@settings(max_examples=100, deadline=None)
def test_corrections_are_their_printed_rules(p: list[float]) -> None:
    """A family of comparisons would claim more, or less, than the stated error rate allows."""
    assert bonferroni(p).tolist() == [min(1.0, len(p) * value) for value in p]
    adjusted = holm(p)
    ranked = sorted(range(len(p)), key=lambda i: p[i])
    highest = 0.0
    for step, i in enumerate(ranked):
        highest = max(highest, min(1.0, (len(p) - step) * p[i]))
        assert adjusted[i] == highest
    assert (adjusted <= bonferroni(p)).all()
    assert (adjusted >= np.asarray(p)).all()


def test_a_family_that_is_worked_out_by_hand() -> None:
    """Both corrections could be wrong in the same way as the loop beside them."""
    p = [0.01, 0.04, 0.03, 0.005]
    np.testing.assert_allclose(bonferroni(p), [0.04, 0.16, 0.12, 0.02])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("p", [[[0.1]], [1.1], [-0.1], [np.nan]])
def test_what_is_no_family_of_p_values_is_refused(p: object) -> None:
    """A statistic passed for a p-value would come out as a finding."""
    for correct in (bonferroni, holm):
        with pytest.raises(CrossRayError, match="0 to 1"):
            correct(p)
