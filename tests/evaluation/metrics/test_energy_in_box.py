"""The energy-based pointing game against a loop."""

from __future__ import annotations

import numpy as np
import pytest

from crossray.core.errors import CrossRayError
from crossray.evaluation import energy_in_box, energy_lift


def test_energy_equals_a_loop() -> None:
    """Whether a map finds a finding is read from this number alone."""
    rng = np.random.default_rng()
    maps, inside = rng.random((4, 3, 5)), rng.random((4, 3, 5))
    maps[1], inside[2] = 0, 0
    energy, lift = energy_in_box(maps, inside), energy_lift(maps, inside)
    for q in range(4):
        within = mass = share = 0.0
        for y in range(3):
            for x in range(5):
                within += maps[q, y, x] * inside[q, y, x]
                mass += maps[q, y, x]
                share += inside[q, y, x] / 15
        assert energy[q] == pytest.approx(within / mass if mass else np.nan, nan_ok=True)
        expected = within / mass / share if mass and share else np.nan
        assert lift[q] == pytest.approx(expected, nan_ok=True)


def test_even_maps_have_a_lift_of_one_and_perfect_ones_the_limit() -> None:
    """The two ends of the scale that a reader compares with."""
    inside = np.zeros((1, 4, 4))
    inside[0, 1:3, 1:3] = 1
    assert energy_lift(np.ones((1, 4, 4)), inside) == pytest.approx([1])
    assert energy_lift(inside, inside) == pytest.approx([4])


@pytest.mark.parametrize(
    ("maps", "inside", "word"),
    [
        (np.ones((1, 2, 2)), np.ones((1, 2, 3)), "do not fit"),
        (np.ones((2, 2)), np.ones((2, 2)), "do not fit"),
        (-np.ones((1, 2, 2)), np.ones((1, 2, 2)), "at least 0"),
        (np.full((1, 2, 2), np.nan), np.ones((1, 2, 2)), "without NaN"),
        (np.ones((1, 2, 2)), 2 * np.ones((1, 2, 2)), r"in \[0, 1\]"),
    ],
)
def test_bad_maps_are_explained(maps: np.ndarray, inside: np.ndarray, word: str) -> None:
    """Negative mass would make shares above 1."""
    with pytest.raises(CrossRayError, match=word):
        energy_lift(maps, inside)
