"""Contributions to similarities."""

from __future__ import annotations

import numpy as np
import pytest

from crossray.codes import hamming_distances, pack
from crossray.explain.contributions import bit_contributions, dimension_contributions


def test_dimensions_sum_to_the_cosine() -> None:
    """Parts that do not make the whole explain another score."""
    rng = np.random.default_rng()
    image, text = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 40)))
    parts = dimension_contributions(image, text)
    assert parts.sum() == pytest.approx(float(image @ text), abs=1e-12)
    assert parts[3] == image[3] * text[3]


@pytest.mark.parametrize("bits", [8, 64])
def test_bits_sum_to_the_similarity_of_codes(bits: int) -> None:
    """What the index calls near must be what the picture calls agreement."""
    image, text = np.random.default_rng().random((2, bits)) < 0.5
    distance = int(hamming_distances(pack(image[None]), pack(text[None]))[0, 0])
    parts = bit_contributions(image, text)
    assert parts.sum() == pytest.approx(1 - 2 * distance / bits)
    assert np.array_equal(parts > 0, image == text)
