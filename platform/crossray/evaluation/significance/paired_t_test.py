"""One metric over several runs: its spread, and the paired t-test of two systems."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError

LEVEL = 0.95


@dataclass(frozen=True)
class TTestResult:
    """Mean of a - b over the seeds, its 95 % interval and the two-sided p-value of no difference.

    `statistic` is Student's t with one degree of freedom less than there are seeds. Where all
    differences are equal it is infinite, or 0 when they are 0.
    """

    mean_difference: float
    low: float
    high: float
    statistic: float
    p_value: float


def paired_t_test(a_R: ArrayLike, b_R: ArrayLike) -> TTestResult:
    r"""Compare two systems over the same seeds [R], one metric value a seed (Student 1908).

    $$t = \frac{\bar d}{s_d / \sqrt R}, \qquad d_r = a_r - b_r, \qquad
      \bar d \pm t_{R-1,\,0.975} \frac{s_d}{\sqrt R}$$

    With $s_d$ the standard deviation over R - 1. Raises CrossRayError for shapes that do not fit,
    for fewer than two seeds and for values that are not finite.
    """
    a, b = np.asarray(a_R, dtype=np.float64), np.asarray(b_R, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size < 2:
        raise CrossRayError(
            f"the paired t-test needs the values of both systems for the same seeds, two or more, "
            f"not arrays of shape {a.shape} and {b.shape}: run both with the same seeds."
        )
    if not (np.isfinite(a) & np.isfinite(b)).all():
        raise CrossRayError(
            "the paired t-test has values that are NaN or infinite: look at the seed whose "
            "evaluation gave them, or leave this seed out of both systems."
        )
    difference_R = a - b
    mean = float(difference_R.mean())
    if np.ptp(difference_R) == 0:
        statistic = float(np.copysign(np.inf, mean)) if mean else 0.0
        return TTestResult(mean, mean, mean, statistic, 0.0 if mean else 1.0)
    from scipy import stats  # a second to import

    result = stats.ttest_rel(a, b)
    interval = result.confidence_interval(LEVEL)
    return TTestResult(
        mean, float(interval.low), float(interval.high), float(result.statistic),
        float(result.pvalue),
    )  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """Mean over the runs, standard deviation over R - 1, and the mean's 95 % t-interval."""

    mean: float
    deviation: float
    low: float
    high: float


def spread_of(values_R: ArrayLike) -> Spread:
    r"""Describe one metric's values [R] over runs (Student 1908).

    $$s^2 = \frac{1}{R-1} \sum_r (x_r - \bar x)^2, \qquad
      \bar x \pm t_{R-1,\,0.975} \frac{s}{\sqrt R}$$

    The interval of folds is too narrow, because folds share training items. Raises CrossRayError
    for fewer than two runs and for values that are not finite.
    """
    value_R = np.asarray(values_R, dtype=np.float64)
    if value_R.ndim != 1 or value_R.size < 2 or not np.isfinite(value_R).all():
        raise CrossRayError(
            f"a spread needs a finite value of each of two runs or more, not {value_R.tolist()}: "
            "repeat the run, or look at the evaluation that gave no number."
        )
    from scipy import stats  # a second to import

    mean, deviation = float(value_R.mean()), float(value_R.std(ddof=1))
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, value_R.size - 1))
    half = quantile * deviation / float(np.sqrt(value_R.size))
    return Spread(mean, deviation, mean - half, mean + half)
