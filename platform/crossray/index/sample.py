"""The queries by which a build measures its index."""

from __future__ import annotations

import numpy as np

from crossray.index.arrays import Codes, Halves, Rows
from crossray.index.modality import MODALITIES, Modality
from crossray.index.queries import Queries

MOST = 500


def sample_rows(modality: Modality, rows: int, seed: int) -> Rows:
    """At most `MOST` of the row numbers, ascending; the same for every number of shards."""
    rng = np.random.default_rng([seed, MODALITIES.index(modality)])
    return np.sort(rng.choice(rows, min(rows, MOST), replace=False))


class Sample:
    """Collects the vectors and codes of chosen rows while all rows of a modality pass by."""

    def __init__(self, rows_Q: Rows, dim: int, bits: int) -> None:
        self._rows_Q = rows_Q
        self._vectors_QD = np.zeros((len(rows_Q), dim), np.float32)
        self._codes_QY = np.zeros((len(rows_Q), bits // 8), np.uint8)

    def see(self, first: int, vectors_ND: Halves, codes_NY: Codes) -> None:
        """Rows `first`, `first + 1`, ... ."""
        start, stop = np.searchsorted(self._rows_Q, (first, first + len(vectors_ND)))
        own = self._rows_Q[start:stop] - first
        self._vectors_QD[start:stop] = vectors_ND[own]
        self._codes_QY[start:stop] = codes_NY[own]

    def queries(self) -> Queries:
        """The chosen rows as queries."""
        return Queries(self._vectors_QD, self._codes_QY)
