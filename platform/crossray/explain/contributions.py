"""What each dimension and each bit of two vectors adds to their similarity, exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def dimension_contributions(image_D: NDArray[np.floating], text_D: NDArray[np.floating]) -> Values:
    r"""`c_D` in [-1, 1], whose sum is the cosine of two vectors of unit length.

    $$\cos(v, t) = \sum_d v_d t_d$$
    """
    return image_D.astype(np.float64) * text_D.astype(np.float64)


def bit_contributions(image_K: NDArray[np.bool_], text_K: NDArray[np.bool_]) -> Values:
    r"""`c_K`, each +1/K or -1/K, whose sum is the similarity of two codes.

    $$1 - \frac{2 d_H(b, b')}{K} = \frac1K \sum_k b_k b'_k, \qquad b_k \in \{-1, +1\}$$
    """
    agree_K: Values = np.where(image_K == text_K, 1.0, -1.0)
    return agree_K / len(agree_K)
