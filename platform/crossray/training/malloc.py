"""What the C library does with the memory of tensors that are gone."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGE = 1 << 20  # bytes


def give_back_large_blocks() -> None:
    """From now on a block of a mebibyte or more goes back to the system when it is freed.

    Else glibc raises that limit up to 32 MiB with the blocks it sees and keeps those below. ZeRO-3
    puts parameters together and drops them all the time, which left as much kept as in use. No
    other C library is told anything.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
