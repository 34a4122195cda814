"""The kinds of float index: how each is built, how many bytes it takes, how hard it can search.

All keep vectors as float16, which is what they come in: decoding is exact, so a float16 scan is as
exact as one over float32 copies and reads half the memory. All score by inner product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Literal

import faiss
import numpy as np

from crossray.index.arrays import Halves
from crossray.index.threads import one_thread

IndexKind = Literal["flat", "ivf", "hnsw"]
Advance = Callable[[int], None]

HNSW_NEIGHBOURS = 32
HNSW_CONSTRUCTION = 80
ROWS_A_LIST = 39
TRAINING_ROWS_A_LIST = 64
MAX_LISTS = 8192
_ROWS_AT_A_TIME = 16_384
_FP16 = faiss.ScalarQuantizer.QT_fp16


@dataclass(frozen=True)
class FloatKind:
    """A kind of float index.

    `efforts`: the values that the measure of how much of the index a query visits may take, from
    fast to thorough: `ef_search` of HNSW, `nprobe` of IVF; none for an exact index.
    `usual_effort`: where there are no queries to measure with.
    """

    empty: Callable[[Halves, int], faiss.Index]
    size: Callable[[int, int], int]
    efforts: tuple[int, ...] = ()
    usual_effort: int | None = None


def build_index(kind: IndexKind, vectors_ND: Halves, seed: int, advance: Advance) -> faiss.Index:
    """An index over all rows, the same bytes in every run; `advance` is called with rows done."""
    with one_thread():
        index = KINDS[kind].empty(vectors_ND, seed)
        for start in range(0, len(vectors_ND), _ROWS_AT_A_TIME):
            block_BD = vectors_ND[start : start + _ROWS_AT_A_TIME].astype(np.float32)
            index.add(block_BD)
            advance(len(block_BD))
    return index


def is_exact(index: faiss.Index) -> bool:
    """Whether a search scans every vector."""
    return isinstance(index, faiss.IndexScalarQuantizer)


def parameters(index: faiss.Index, effort: int | None) -> faiss.SearchParameters | None:
    """What FAISS calls the effort; given with each call, so that threads can share an index."""
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=effort)
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=effort)
    return None


def lists(rows: int) -> int:
    """Inverted lists for so many rows: 4 sqrt(rows), but 39 rows a list or more.

    Fewer rows than two lists need are stored flat.
    """
    return min(4 * isqrt(rows), rows // ROWS_A_LIST, MAX_LISTS)


def _empty_flat(vectors_ND: Halves, seed: int) -> faiss.Index:
    return faiss.IndexScalarQuantizer(vectors_ND.shape[1], _FP16, faiss.METRIC_INNER_PRODUCT)


def _empty_hnsw(vectors_ND: Halves, seed: int) -> faiss.Index:
    index = faiss.IndexHNSWSQ(
        vectors_ND.shape[1], _FP16, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT
    )
    index.hnsw.efConstruction = HNSW_CONSTRUCTION
    return index


def _empty_ivf(vectors_ND: Halves, seed: int) -> faiss.Index:
    rows, dim = vectors_ND.shape
    number = lists(rows)
    if number < 2:
        return _empty_flat(vectors_ND, seed)
    centroids = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFScalarQuantizer(
        centroids, dim, number, _FP16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.seed = seed
    index.cp.max_points_per_centroid = TRAINING_ROWS_A_LIST
    size = min(rows, number * TRAINING_ROWS_A_LIST)
    sample = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    index.train(vectors_ND[sample].astype(np.float32))
    return index


def _flat_size(rows: int, dim: int) -> int:
    return 2 * rows * dim


def _hnsw_size(rows: int, dim: int) -> int:
    # int32 links: twice the neighbours on the ground floor, then on each floor M links for one
    # row in M of the floor below; an int64 offset and an int32 height a row.
    links = 2 * HNSW_NEIGHBOURS + HNSW_NEIGHBOURS / (HNSW_NEIGHBOURS - 1)
    return _flat_size(rows, dim) + round(rows * (4 * links + 8 + 4))


def _ivf_size(rows: int, dim: int) -> int:
    number = lists(rows)
    if number < 2:
        return _flat_size(rows, dim)
    return _flat_size(rows, dim) + 8 * rows + 4 * dim * number


KINDS: dict[IndexKind, FloatKind] = {
    "flat": FloatKind(_empty_flat, _flat_size),
    "ivf": FloatKind(_empty_ivf, _ivf_size, tuple(2**n for n in range(14)), 16),
    "hnsw": FloatKind(_empty_hnsw, _hnsw_size, (16, 32, 64, 128, 256, 512, 1024), 64),
}
