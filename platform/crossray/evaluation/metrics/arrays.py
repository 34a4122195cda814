"""Array types of the package, the checks every metric makes, and the row blocks they work in."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# About 8 MiB for each 64-bit temporary of a block, whatever the size of the database.
BLOCK_ELEMENTS = 1 << 20


def row_blocks(queries: int, items: int) -> Iterator[slice]:
    """Yield slices over the queries so that one block holds about `BLOCK_ELEMENTS` scores."""
    rows = max(1, BLOCK_ELEMENTS // max(1, items))
    for start in range(0, queries, rows):
        yield slice(start, min(start + rows, queries))


def as_scores(scores: ArrayLike) -> NDArray[np.floating]:
    """Return scores of shape [Q, N] as floats, larger = better.

    Raises CrossRayError when they are not a numeric matrix with at least one item, or hold NaN.
    """
    array = np.asarray(scores)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiub":
        raise CrossRayError(
            f"scores must be a numeric matrix [queries, items] with at least one item, not "
            f"{array.dtype} of shape {array.shape}: pass one row a query."
        )
    floats = array if array.dtype.kind == "f" else array.astype(np.float64)
    if np.isnan(floats).any():
        raise CrossRayError(
            "scores hold NaN, which has no place in a ranking: look for a zero or overflowing "
            "embedding in the vectors they come from."
        )
    return floats


def as_bools(name: str, values: ArrayLike) -> Bools:
    """Return a boolean matrix; raises CrossRayError for another dtype or another rank."""
    array = np.asarray(values)
    if array.dtype != np.bool_ or array.ndim != 2:
        raise CrossRayError(
            f"{name} must be a boolean matrix, not {array.dtype} of shape {array.shape}: compare "
            f"with a threshold first, for instance `values > 0`."
        )
    return array


def check_same_shape(scores: ArrayLike, relevant: ArrayLike) -> None:
    """Raise CrossRayError unless the scores and the relevance have one shape [Q, N]."""
    if np.shape(scores) != np.shape(relevant):
        raise CrossRayError(
            f"scores of shape {np.shape(scores)} do not fit the relevance of shape "
            f"{np.shape(relevant)}: both must be [queries, items]."
        )


def check_cutoff(name: str, value: int) -> None:
    """Raise CrossRayError unless a rank cut-off is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise CrossRayError(
            f"{name} must be a whole number of at least 1, not {value!r}: it counts ranks."
        )


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise CrossRayError unless `value` is one of the named choices."""
    if value not in choices:
        raise CrossRayError(f"{name} is {value!r}: choose one of {', '.join(choices)}.")


def paired_difference(a_Q: ArrayLike, b_Q: ArrayLike) -> Floats:
    """Return a - b [Q]; raises CrossRayError unless both hold values for the same queries."""
    a, b = np.asarray(a_Q, dtype=np.float64), np.asarray(b_Q, dtype=np.float64)
    if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
        raise CrossRayError(
            f"a paired test needs one value of both systems for each query, but their shapes "
            f"{a.shape} and {b.shape} or their empty queries differ: evaluate both on the same "
            f"queries and relevance."
        )
    difference_Q: Floats = a - b
    return difference_Q
