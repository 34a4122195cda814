"""The spread of a metric over runs: seeds or folds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.significance.paired_t_test import LEVEL


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
