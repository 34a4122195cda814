"""Nearest vectors: FAISS proposes rows, their exact scores decide.

An exact index answers exactly what sorting all exact scores would: where the rounding of FAISS'
float32 scores, or ties, could have hidden a row, all rows that reach the score in question are
fetched.
"""

from __future__ import annotations

import faiss
import numpy as np

from crossray.index.arrays import Floats, Halves, Rows
from crossray.index.exact import exact_scores, rounding_bound
from crossray.index.hits import Hits, best
from crossray.index.kinds import is_exact, parameters
from crossray.index.threads import one_thread

SLACK = 32


def nearest(
    index: faiss.Index, effort: int | None, vectors_ND: Halves, queries_QD: Floats, k: int
) -> Hits:
    """The `k` best rows of each query, numbered as in `vectors_ND`, by exact score."""
    wide = min(k + SLACK, len(vectors_ND))
    with one_thread():
        rounded_QK, rows_QK = _propose(index, effort, queries_QD, wide)
        hits = best(exact_scores(vectors_ND, queries_QD, rows_QK), rows_QK, k)
        if wide < len(vectors_ND) and is_exact(index):
            for query, query_D in enumerate(queries_QD):
                last, bound = hits.scores_QK[query, -1], rounding_bound(query_D)
                if not rounded_QK[query, -1] + bound < last:
                    complete = _reaching(index, vectors_ND, query_D, last - 2 * bound, k)
                    hits.scores_QK[query], hits.rows_QK[query] = complete
    return hits


def _propose(
    index: faiss.Index, effort: int | None, queries_QD: Floats, wide: int
) -> tuple[Floats, Rows]:
    """FAISS' scores and rows, one query a call.

    Given many queries, FAISS compares them to the centroids of IVF by BLAS, which rounds otherwise:
    then an answer would depend on the other queries.
    """
    scores_QK = np.zeros((len(queries_QD), wide), np.float32)
    rows_QK = np.zeros((len(queries_QD), wide), np.int64)
    if wide:
        given = parameters(index, effort)
        for query in range(len(queries_QD)):
            one = slice(query, query + 1)
            scores_QK[one], rows_QK[one] = index.search(queries_QD[one], wide, params=given)
    return scores_QK, rows_QK


def _reaching(
    index: faiss.Index, vectors_ND: Halves, query_D: Floats, score: float, k: int
) -> tuple[Floats, Rows]:
    """The `k` best of all rows that FAISS scores at `score` or above."""
    radius = float(np.nextafter(np.float32(score), np.float32(-np.inf)))
    _, _, rows_N = index.range_search(query_D[None], radius)
    hits = best(exact_scores(vectors_ND, query_D[None], rows_N[None]), rows_N[None], k)
    return hits.scores_QK[0], hits.rows_QK[0]
