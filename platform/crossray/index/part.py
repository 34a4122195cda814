"""One modality of one shard: what is searched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from crossray.index.arrays import Codes, Distances, Floats, Halves, Rows, map_array
from crossray.index.candidates import FARTHEST, Candidates
from crossray.index.exact import exact_scores
from crossray.index.hits import NO_ROW, Hits
from crossray.index.layout import CODES, FLOATS, ROWS, VECTORS
from crossray.index.proposals import nearest
from crossray.index.queries import Queries
from crossray.index.threads import one_thread


@dataclass(frozen=True)
class Part:
    """Vectors and codes with their indexes.

    `rows_N` are the row numbers, ascending, so that ties in the order of a part are ties in the
    order of the whole. `effort` is how much of `floats` a query visits, None for an exact index.
    """

    vectors_ND: Halves
    rows_N: Rows
    floats: faiss.Index
    codes: faiss.IndexBinary
    effort: int | None

    def nearest(self, queries_QD: Floats, k: int) -> Hits:
        """The best rows by inner product; all of them right where the index is exact."""
        hits = nearest(self.floats, self.effort, self.vectors_ND, queries_QD, k)
        return Hits(hits.scores_QK, row_numbers(self.rows_N, hits.rows_QK))

    def nearest_codes(self, codes_QY: Codes, k: int) -> Hits:
        """The best rows by 1 - 2 h / K, h the Hamming distance of codes of K bits."""
        distances_QK, own_QK = self._scan(codes_QY, k)
        scores_QK = 1 - 2 * distances_QK / self.codes.d
        scores_QK[own_QK == NO_ROW] = -np.inf
        return Hits(scores_QK.astype(np.float32), row_numbers(self.rows_N, own_QK))

    def candidates(self, queries: Queries, candidates: int) -> Candidates:
        """The rows of the nearest codes, with exact scores."""
        distances_QC, own_QC = self._scan(queries.codes_QY, candidates)
        scores_QC = exact_scores(self.vectors_ND, queries.vectors_QD, own_QC)
        return Candidates(distances_QC, scores_QC, row_numbers(self.rows_N, own_QC))

    def scores(self, queries_QD: Floats, rows_QK: Rows) -> Floats:
        """Exact scores of row numbers; -inf where a row is not in this part."""
        own_QK = np.searchsorted(self.rows_N, rows_QK)
        inside_QK = own_QK < len(self.rows_N)
        inside_QK[inside_QK] = self.rows_N[own_QK[inside_QK]] == rows_QK[inside_QK]
        return exact_scores(self.vectors_ND, queries_QD, np.where(inside_QK, own_QK, NO_ROW))

    def _scan(self, codes_QY: Codes, k: int) -> tuple[Distances, Rows]:
        """Distances and positions; FAISS orders them by (distance, position)."""
        with one_thread():
            distances_QK, own_QK = self.codes.search(codes_QY, k)
        distances_QK[own_QK == NO_ROW] = FARTHEST
        return distances_QK, own_QK


def row_numbers(rows_N: Rows, own_QK: Rows) -> Rows:
    """The row numbers of positions in a part; `NO_ROW` stays."""
    some_QK = own_QK != NO_ROW
    numbers_QK = np.full(own_QK.shape, NO_ROW, np.int64)
    numbers_QK[some_QK] = rows_N[own_QK[some_QK]]
    return numbers_QK


def open_part(folder: Path, effort: int | None) -> Part:
    """The part whose files lie in a folder, mapped into memory.

    Raises what NumPy and FAISS raise for files that are missing or damaged, and `ValueError` for
    files that do not belong together.
    """
    part = Part(
        vectors_ND=map_array(folder / VECTORS),
        rows_N=map_array(folder / ROWS),
        floats=faiss.read_index(str(folder / FLOATS), faiss.IO_FLAG_MMAP_IFC),
        codes=faiss.read_index_binary(str(folder / CODES), faiss.IO_FLAG_MMAP_IFC),
        effort=effort,
    )
    counts = (len(part.vectors_ND), len(part.rows_N), part.floats.ntotal, part.codes.ntotal)
    if len(set(counts)) > 1 or part.floats.d != part.vectors_ND.shape[1]:
        raise ValueError(f"the files in {folder} hold {counts} rows")
    return part
