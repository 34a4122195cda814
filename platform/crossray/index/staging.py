"""Copying vectors and codes into the shards of an index, and the queries that measure it."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa

from crossray.core.errors import CrossRayError
from crossray.core.modality import MODALITIES, Modality
from crossray.index.arrays import Codes, Halves, Rows
from crossray.index.layout import CODES, REPRESENTATIONS, ROWS, VECTORS, part_folder
from crossray.index.queries import Queries
from crossray.index.representations import writing
from crossray.index.rows import Assignment
from crossray.index.vectors import VectorsInfo, codes_of, of_modality, vectors_of

MOST = 500  # sample queries of a modality


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
        places = self._rows_Q[start:stop] - first
        self._vectors_QD[start:stop] = vectors_ND[places]
        self._codes_QY[start:stop] = codes_NY[places]

    def queries(self) -> Queries:
        """The chosen rows as queries."""
        return Queries(self._vectors_QD, self._codes_QY)


class PartWriter:
    """Writes what a part holds besides its float index; rows come in ascending order.

    Codes of 0 bits are not written.
    """

    def __init__(self, folder: Path, rows_N: Rows, dim: int, bits: int) -> None:
        folder.mkdir(parents=True)
        np.save(folder / ROWS, rows_N, allow_pickle=False)
        shape = (len(rows_N), dim)
        self._vectors_ND = np.lib.format.open_memmap(folder / VECTORS, "w+", np.float16, shape)
        self._codes = faiss.IndexBinaryFlat(bits) if bits else None
        self._written = 0
        self._path = str(folder / CODES)

    def write(self, vectors_BD: Halves, codes_BY: Codes) -> None:
        """Append rows."""
        start = self._written
        self._vectors_ND[start : start + len(vectors_BD)] = vectors_BD
        if self._codes is not None:
            self._codes.add(codes_BY)
        self._written += len(vectors_BD)

    def close(self) -> None:
        """Bring everything to disk."""
        self._vectors_ND.flush()
        if self._codes is not None:
            faiss.write_index_binary(self._codes, self._path)


def stage(
    vectors: VectorsInfo,
    assignment: Assignment,
    root: Path,
    shards: int,
    seed: int,
    advance: Callable[[int], None],
) -> dict[Modality, Queries]:
    """Write vectors, row numbers and codes of every part; gives sample queries of each modality.

    One block of the artifact and all codes are in memory at a time.

    Raises:
        CrossRayError: a vector that is not of unit length.
    """
    writers = {
        (modality, shard): PartWriter(
            part_folder(root, shard, modality),
            np.flatnonzero(assignment[modality] == shard),
            vectors.dim,
            vectors.bits,
        )
        for modality in MODALITIES
        for shard in range(shards)
    }
    samples = {
        modality: Sample(sample_rows(modality, count, seed), vectors.dim, vectors.bits)
        for modality, count in vectors.rows.items()
    }
    seen = dict.fromkeys(MODALITIES, 0)
    for block in vectors.blocks(["item_id", "modality", *vectors.columns]):
        every_ND, codes_NY = vectors_of(block), codes_of(block)
        for modality in MODALITIES:
            mask, first = of_modality(block, modality), seen[modality]
            own_BD, own_BY = every_ND[mask], codes_NY[mask]
            samples[modality].see(first, own_BD, own_BY)
            shard_B = assignment[modality][first : first + len(own_BD)]
            for shard in np.unique(shard_B):
                there_B = shard_B == shard
                writers[modality, shard].write(own_BD[there_B], own_BY[there_B])
            seen[modality] += len(own_BD)
        advance(len(block))
    for writer in writers.values():
        writer.close()
    return {modality: sample.queries() for modality, sample in samples.items()}


def stage_representations(
    vectors: VectorsInfo, assignment: Assignment, root: Path, shards: int
) -> None:
    """Write the representations of every part; one batch of the artifact is in memory at a time.

    Raises:
        CrossRayError: there are not as many as vectors.
    """
    for modality in MODALITIES:
        batches = vectors.representations(modality)
        first = next(iter(batches), pa.record_batch({}))
        seen = 0
        with ExitStack() as files:
            writers = [
                files.enter_context(
                    writing(part_folder(root, shard, modality) / REPRESENTATIONS, first.schema)
                )
                for shard in range(shards)
            ]
            for batch in chain([first], batches):
                shard_B = assignment[modality][seen : seen + len(batch)]
                for shard in np.unique(shard_B):
                    places = np.flatnonzero(shard_B == shard)
                    writers[shard].write_batch(batch.take(pa.array(places)))
                seen += len(batch)
        if seen != len(assignment[modality]):
            raise CrossRayError(
                f"{vectors.artifact.uri} holds {seen} representations of "
                f"{len(assignment[modality])} {modality} vectors; make the vectors again."
            )
