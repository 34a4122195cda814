"""Corrections of a family of p-values: the chance of any false alarm stays below the level."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Floats


def bonferroni(p_values: ArrayLike) -> Floats:
    r"""Return the adjusted p-values $\tilde p_i = \min(1, m p_i)$ [m] (Dunn 1961).

    Compare them with the level of the family. Valid under any dependence of the tests; `holm`
    is never less powerful. Raises CrossRayError unless `p_values` is a flat array in [0, 1].
    """
    p_M = _checked(p_values)
    return np.minimum(1.0, p_M * p_M.size)


def holm(p_values: ArrayLike) -> Floats:
    r"""Return the step-down adjusted p-values [m], in the order given (Holm 1979).

    $$\tilde p_{(i)} = \min\bigl(1, \max_{j \le i} (m - j + 1) p_{(j)}\bigr),
      \qquad p_{(1)} \le \dots \le p_{(m)}$$

    Raises what `bonferroni` raises.
    """
    p_M = _checked(p_values)
    ascending = np.argsort(p_M)
    stepped = p_M[ascending] * np.arange(p_M.size, 0, -1)
    adjusted_M = np.empty_like(p_M)
    adjusted_M[ascending] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted_M


def _checked(p_values: ArrayLike) -> Floats:
    p_M = np.asarray(p_values, dtype=np.float64)
    if p_M.ndim != 1 or not ((p_M >= 0) & (p_M <= 1)).all():
        raise CrossRayError(
            f"a family of p-values must be a flat array of numbers from 0 to 1, not an array of "
            f"shape {p_M.shape}{' with other values' if p_M.ndim == 1 else ''}: pass the p-value "
            f"of each test once."
        )
    return p_M


Correction = Literal["holm", "bonferroni"]
CORRECTIONS: dict[Correction, Callable[[ArrayLike], Floats]] = {
    "holm": holm,
    "bonferroni": bonferroni,
}


def significance_mark(p_value: float) -> str:
    """`**` below 0.01, `*` below 0.05, else nothing."""
    return "**" if p_value < 0.01 else "*" if p_value < 0.05 else ""
