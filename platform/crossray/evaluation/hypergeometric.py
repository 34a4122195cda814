"""Drawing without replacement, as the top ranks draw from a block of equal scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from crossray.evaluation.arrays import Floats


def hypergeometric(h: ArrayLike, items: ArrayLike, relevant: ArrayLike, taken: ArrayLike) -> Floats:
    r"""Probability of `h` relevant items among the `taken`, elementwise.

    $$P(h) = \binom{r}{h} \binom{n-r}{m-h} \Big/ \binom{n}{m}$$

    with n items, r of them relevant, of which m are taken; 0 for an impossible `h`.
    """
    h, n, r, m = (np.asarray(value) for value in (h, items, relevant, taken))
    # Not scipy.stats: importing it takes a second, in every training process.
    log_p = _log_binomial(r, h) + _log_binomial(n - r, m - h) - _log_binomial(n, m)
    return np.asarray(np.exp(log_p), dtype=np.float64)


def _log_binomial(n: Floats, k: Floats) -> Floats:
    """-inf where k < 0 or k > n."""
    log: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return log
