"""Exact scores: inner products with the stored vectors, whichever index proposed the rows."""

from __future__ import annotations

import numpy as np

from crossray.index.arrays import Floats, Halves, Rows
from crossray.index.hits import NO_ROW

LONGEST = 1.01
_ROWS_AT_A_TIME = 8192
_UNIT_ROUNDOFF = 2.0**-24


def exact_scores(vectors_ND: Halves, queries_QD: Floats, rows_QK: Rows) -> Floats:
    """`scores_QK`: inner products of queries with stored rows; -inf where a row is `NO_ROW`.

    Products of a float16 and a float32 are exact in float64. They are summed row by row over the
    contiguous axis and rounded once to float32, so that a score depends on its vector and its query
    only: not on the batch, on the shard or on the kernel that BLAS would choose.
    """
    scores_QK = np.full(rows_QK.shape, -np.inf, np.float32)
    for query_D, rows_K, scores_K in zip(queries_QD, rows_QK, scores_QK, strict=True):
        some = np.flatnonzero(rows_K != NO_ROW)
        for start in range(0, len(some), _ROWS_AT_A_TIME):
            block = some[start : start + _ROWS_AT_A_TIME]
            products_BD = vectors_ND[rows_K[block]].astype(np.float64) * query_D
            scores_K[block] = products_BD.sum(axis=1)
    return scores_QK


def rounding_bound(query_D: Floats) -> float:
    """The most by which a float32 inner product of the query and a stored vector can be wrong.

    n * u * |x| * |y| for any order of summation, u = 2**-24 (Higham, Accuracy and Stability of
    Numerical Algorithms, eq. 3.5), with two terms more for the rounding of what it is compared to.
    Stored vectors are at most `LONGEST` long.
    """
    length = float(np.linalg.norm(query_D.astype(np.float64)))
    return (len(query_D) + 2) * _UNIT_ROUNDOFF * LONGEST * length + float(np.finfo(np.float32).tiny)
