"""Hits of a search, and their order.

The higher score comes first; among equal scores the smaller row number. A row number counts the
vectors of a modality in the vectors artifact, so that it does not depend on shards, and answers of
shards merge into the answer of all rows.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossray.index.arrays import Floats, Rows

NO_ROW = -1
_Number = TypeVar("_Number", bound=np.generic)


class Hits(NamedTuple):
    """`scores_QK` and `rows_QK`, best first; -inf and -1 where there are fewer than K answers."""

    scores_QK: Floats
    rows_QK: Rows


class MixedHits(NamedTuple):
    """Hits of both modalities in the order of `mix`, which is not that of their scores.

    `modalities_QK` indexes `MODALITIES`, -1 where there is no hit.
    """

    scores_QK: Floats
    modalities_QK: NDArray[np.int8]
    rows_QK: Rows


def best(scores_QN: Floats, rows_QN: Rows, k: int) -> Hits:
    """The `k` best of any number of scored rows, in order and padded."""
    order_QK = np.lexsort((rows_QN, -scores_QN), axis=-1)[:, :k]
    return Hits(
        pad(np.take_along_axis(scores_QN, order_QK, axis=1), k, np.float32(-np.inf)),
        pad(np.take_along_axis(rows_QN, order_QK, axis=1), k, np.int64(NO_ROW)),
    )


def merge(parts: Sequence[Hits], k: int) -> Hits:
    """The `k` best hits of several shards."""
    return best(
        np.concatenate([part.scores_QK for part in parts], axis=1),
        np.concatenate([part.rows_QK for part in parts], axis=1),
        k,
    )


def mix(images: Hits, texts: Hits, k: int) -> MixedHits:
    """The `k` best hits of both modalities, by reciprocal rank fusion.

    A hit's place is decided by 1 / (c + its rank among the hits of its modality) and not by its
    score: scores of the two modalities lie in different ranges, so that one modality would come
    before all of the other. Every hit stands in one of the two lists, so any c > 0 gives the same
    order (Cormack et al., SIGIR 2009, take 60): rank by rank, the image first, and where one list
    ends the rest of the other. The scores stay what they were.
    """
    ranks_QN = np.concatenate([_ranks(images), _ranks(texts)], axis=1)
    scores_QN = np.concatenate([images.scores_QK, texts.scores_QK], axis=1)
    rows_QN = np.concatenate([images.rows_QK, texts.rows_QK], axis=1)
    modalities_QN = np.zeros(rows_QN.shape, np.int8)
    modalities_QN[:, images.rows_QK.shape[1] :] = 1
    modalities_QN[rows_QN == NO_ROW] = -1
    order_QK = np.lexsort((modalities_QN, ranks_QN, rows_QN == NO_ROW), axis=-1)[:, :k]
    return MixedHits(
        pad(np.take_along_axis(scores_QN, order_QK, axis=1), k, np.float32(-np.inf)),
        pad(np.take_along_axis(modalities_QN, order_QK, axis=1), k, np.int8(-1)),
        pad(np.take_along_axis(rows_QN, order_QK, axis=1), k, np.int64(NO_ROW)),
    )


def without_rows(hits: Hits, rows_R: Rows, k: int) -> Hits:
    """The `k` best hits that are not among some rows."""
    left_QK = np.where(np.isin(hits.rows_QK, rows_R), NO_ROW, hits.rows_QK)
    scores_QK = np.where(left_QK == NO_ROW, np.float32(-np.inf), hits.scores_QK)
    return best(scores_QK, left_QK, k)


def _ranks(hits: Hits) -> Rows:
    return np.broadcast_to(np.arange(hits.rows_QK.shape[1]), hits.rows_QK.shape)


def pad(values_QN: NDArray[_Number], k: int, filling: _Number) -> NDArray[_Number]:
    """The values, with columns of `filling` where there are fewer than `k`."""
    missing = k - values_QN.shape[1]
    if missing <= 0:
        return values_QN
    return np.pad(values_QN, ((0, 0), (0, missing)), constant_values=filling)
