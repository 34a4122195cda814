"""Hamming distances of packed codes, and the exact scan over all of them."""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from crossray.codes.binary import Packed
from crossray.core.errors import CrossRayError

_PAIRS_AT_A_TIME = 4_000_000


def hamming_distances(queries_QY: Packed, codes_NY: Packed) -> NDArray[np.uint16]:
    """`distances_QN`: the number of bits in which each query differs from each code.

    Raises:
        CrossRayError: queries and codes have different lengths.
    """
    _check_lengths(queries_QY, codes_NY)
    queries_QW, codes_NW = _words(queries_QY), _words(codes_NY)
    distances_QN = np.zeros((len(queries_QY), len(codes_NY)), np.uint16)
    for word in range(queries_QW.shape[1]):
        differing_QN = queries_QW[:, None, word] ^ codes_NW[None, :, word]
        distances_QN += np.bitwise_count(differing_QN)
    return distances_QN


def nearest_codes(
    queries_QY: Packed, codes_NY: Packed, k: int
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Distances and row numbers, both [Q, min(k, N)], of each query's nearest codes.

    Nearest first; equally distant codes come in the order of their rows.

    Raises:
        CrossRayError: queries and codes have different lengths, or k is less than 1.
    """
    _check_lengths(queries_QY, codes_NY)
    if k < 1:
        raise CrossRayError(f"k={k} asks for no neighbour; ask for 1 or more.")
    number, k = len(codes_NY), min(k, len(codes_NY))
    distances_QK = np.zeros((len(queries_QY), k), np.uint16)
    rows_QK = np.zeros((len(queries_QY), k), np.int64)
    step = max(1, _PAIRS_AT_A_TIME // max(number, 1))
    for start in range(0, len(queries_QY) if k else 0, step):
        block = slice(start, start + step)
        distances_BN = hamming_distances(queries_QY[block], codes_NY)
        order_BN = distances_BN.astype(np.int64) * number + np.arange(number)
        nearest_BK = np.sort(np.partition(order_BN, k - 1, axis=1)[:, :k], axis=1)
        distances_QK[block], rows_QK[block] = np.divmod(nearest_BK, number)
    return distances_QK, rows_QK


def _words(packed_NY: Packed) -> NDArray[np.unsignedinteger]:
    """The same bits in the longest words that divide a code."""
    size = gcd(packed_NY.shape[1], 8)
    return np.ascontiguousarray(packed_NY).view(f"u{size}")


def _check_lengths(queries_QY: Packed, codes_NY: Packed) -> None:
    if queries_QY.shape[1] != codes_NY.shape[1]:
        raise CrossRayError(
            f"queries of {8 * queries_QY.shape[1]} bits cannot be compared with codes of "
            f"{8 * codes_NY.shape[1]} bits; use the model that made the codes."
        )
