"""One modality of one shard: what is searched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa

from crossray.index.arrays import Codes, Distances, Floats, Halves, Rows, map_array
from crossray.index.candidates import FARTHEST, Candidates
from crossray.index.exact import exact_scores
from crossray.index.hits import NO_ROW, Hits
from crossray.index.layout import CODES, FLOATS, REPRESENTATIONS, ROWS, VECTORS
from crossray.index.proposals import nearest
from crossray.index.queries import Queries
from crossray.index.representations import Keep, Parts, map_representations, parts_of
from crossray.index.threads import one_thread


@dataclass(frozen=True)
class Part:
    """Vectors and codes with their indexes, and representations, where there are any.

    `rows_N` are the row numbers, ascending, so that ties in the order of a part are ties in the
    order of all rows. `effort` is how much of `floats` a query visits, None for an exact index.
    """

    vectors_ND: Halves
    rows_N: Rows
    floats: faiss.Index
    codes: faiss.IndexBinary | None
    effort: int | None
    representations: pa.Table | None = None

    def nearest(self, queries_QD: Floats, k: int) -> Hits:
        """The best rows by inner product; exact where the index is."""
        hits = nearest(self.floats, self.effort, self.vectors_ND, queries_QD, k)
        return Hits(hits.scores_QK, row_numbers(self.rows_N, hits.rows_QK))

    def nearest_codes(self, codes_QY: Codes, k: int) -> Hits:
        """The best rows by 1 - 2 h / K, h the Hamming distance of codes of K bits."""
        assert self.codes is not None
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

    def code(self, place: int) -> Codes:
        """The packed code at a position; of no bytes where there are no codes."""
        found: Codes = (
            np.zeros(0, np.uint8) if self.codes is None else self.codes.reconstruct(place)
        )
        return found

    def represented(self, row: int) -> Parts | None:
        """The representation of a row number; None where it is not in this part."""
        assert self.representations is not None
        place = int(np.searchsorted(self.rows_N, row))
        if place == len(self.rows_N) or self.rows_N[place] != row:
            return None
        return parts_of(self.representations, place)

    def _scan(self, codes_QY: Codes, k: int) -> tuple[Distances, Rows]:
        """Distances and positions; FAISS orders them by (distance, position)."""
        assert self.codes is not None
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


def open_part(folder: Path, effort: int | None, bits: int, keep: Keep = "vectors") -> Part:
    """The part whose files lie in a folder, mapped into memory.

    `bits`: of the codes, 0 where there are none. `keep`: "representations" opens these too. Raises
    what NumPy, FAISS and Arrow raise for files that are missing or damaged, and `ValueError` for
    files that do not belong together.
    """
    part = Part(
        vectors_ND=map_array(folder / VECTORS),
        rows_N=map_array(folder / ROWS),
        floats=faiss.read_index(str(folder / FLOATS), faiss.IO_FLAG_MMAP_IFC),
        codes=faiss.read_index_binary(str(folder / CODES), faiss.IO_FLAG_MMAP_IFC)
        if bits
        else None,
        effort=effort,
        representations=map_representations(folder / REPRESENTATIONS)
        if keep == "representations"
        else None,
    )
    counts = [len(part.vectors_ND), len(part.rows_N), part.floats.ntotal]
    if part.codes is not None:
        counts.append(part.codes.ntotal)
    if part.representations is not None:
        counts.append(len(part.representations))
    if len(set(counts)) > 1 or part.floats.d != part.vectors_ND.shape[1]:
        raise ValueError(f"the files in {folder} hold {counts} rows")
    return part
