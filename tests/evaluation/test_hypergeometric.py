"""The distribution behind expected values over ties."""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from crossray.evaluation.hypergeometric import hypergeometric


def test_equals_scipy() -> None:
    """Expected recall would be off by as much."""
    rng = np.random.default_rng()
    items = rng.integers(1, 5000, 2000)
    relevant, taken = rng.integers(0, items + 1), rng.integers(0, items + 1)
    h = rng.integers(-1, np.minimum(relevant, taken) + 2)
    expected = hypergeom.pmf(h, items, relevant, taken)
    np.testing.assert_allclose(
        hypergeometric(h, items, relevant, taken), expected, rtol=1e-8, atol=1e-12
    )


def test_certain_and_impossible_are_exact() -> None:
    """A metric without ties would be almost 1, or almost 0."""
    n = np.arange(1, 50)
    assert (hypergeometric(n, n, n, n) == 1).all()
    assert (hypergeometric(0, n, n, n) == 0).all()
    assert (hypergeometric(0, n, 0, n) == 1).all()
