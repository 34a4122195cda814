"""Real outputs to bits, bits to bytes and back."""

import numpy as np
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError

Bits = NDArray[np.bool_]
Packed = NDArray[np.uint8]


def binarise(outputs_NK: NDArray[np.floating]) -> Bits:
    """`bits_NK`: True for +1, False for -1, by the sign of each output; sign(0) = +1.

    Raises:
        CrossRayError: an output is not a number.
    """
    unclear_N = np.isnan(outputs_NK).any(axis=1)
    if unclear_N.any():
        raise CrossRayError(
            f"row {int(unclear_N.argmax())} of the hash outputs holds NaN, which has no sign; "
            "check the model that made it."
        )
    positive: Bits = outputs_NK >= 0
    return positive


def pack(bits_NK: Bits) -> Packed:
    """`packed_NY`, Y = K / 8: eight bits a byte, the first bit highest.

    Raises:
        CrossRayError: K is not a multiple of 8.
    """
    if bits_NK.shape[1] % 8:
        raise CrossRayError(
            f"codes of {bits_NK.shape[1]} bits do not fill whole bytes; use a multiple of 8."
        )
    return np.packbits(bits_NK, axis=1)


def unpack(packed_NY: Packed) -> Bits:
    """`bits_NK` of packed codes."""
    return np.unpackbits(packed_NY, axis=1).astype(np.bool_)
