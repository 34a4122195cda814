"""The two steps of a rescoring search: near by code, then ranked by exact score.

The candidates are the nearest codes of a modality in all shards, so they are cut after shards are
merged: any number of shards then gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crossray.index.arrays import Distances, Floats, Rows
from crossray.index.hits import Hits, best

FARTHEST = np.iinfo(np.int32).max


class Candidates(NamedTuple):
    """Rows near by code: Hamming distances (bits), exact scores and row numbers.

    Padded with `FARTHEST`, -inf and -1 where a shard has fewer rows.
    """

    distances_QC: Distances
    scores_QC: Floats
    rows_QC: Rows


def merge_candidates(parts: Sequence[Candidates], candidates: int, k: int) -> Hits:
    """The `k` best by score of the `candidates` nearest by (distance, row) of all shards."""
    distances_QN = np.concatenate([part.distances_QC for part in parts], axis=1)
    rows_QN = np.concatenate([part.rows_QC for part in parts], axis=1)
    scores_QN = np.concatenate([part.scores_QC for part in parts], axis=1)
    nearest_QC = np.lexsort((rows_QN, distances_QN), axis=-1)[:, :candidates]
    return best(
        np.take_along_axis(scores_QN, nearest_QC, axis=1),
        np.take_along_axis(rows_QN, nearest_QC, axis=1),
        k,
    )
