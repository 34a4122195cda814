"""Hamming distances and label relevance of queries and items, a block of queries at a time."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossray.core.errors import CrossRayError
from crossray.evaluation.metrics.arrays import Bools, as_bools, row_blocks

Words = NDArray[np.unsignedinteger]
Distances = NDArray[np.unsignedinteger]

# Items compared at a time, so that the temporaries of a block of queries stay in the cache.
TILE = 1 << 15
# Each thread holds a block; a few saturate the memory.
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class HammingPairs:
    """Packed codes and labels in machine words, the words of an item below each other.

    Relevant are the items with a label in common with the query (`share_label`); two masks of
    labels answer that faster than a matrix product of labels.
    """

    codes_QW: Words
    codes_WN: Words
    labels_QW: Words
    labels_WN: Words
    bits: int

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self.codes_QW)

    @property
    def items(self) -> int:
        """Number of items in the database."""
        return int(self.codes_WN.shape[1])

    def map(self, metric: Callable[[Distances, Bools], NDArray[Any]]) -> NDArray[Any]:
        """Apply `metric` to the distances [B, N] and the relevance [B, N] of blocks of queries.

        Twice a distance, plus one, fits the type of the distances. `metric` may overwrite its
        arguments; its values [B, ...] are returned for all queries, [Q, ...]. Threads share the
        blocks, because NumPy lets go of the interpreter in everything that costs time here.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            blocks = row_blocks(self.queries, self.items)
            return np.concatenate(list(pool.map(lambda rows: metric(*self._block(rows)), blocks)))

    def _block(self, rows: slice) -> tuple[Distances, Bools]:
        small = 2 * self.bits + 1 < 1 << 8
        shape = (rows.stop - rows.start, self.items)
        distance_BN: Distances = np.empty(shape, np.uint8 if small else np.uint16)
        relevant_BN = np.empty(shape, np.bool_)
        for start in range(0, self.items, TILE):
            tile = slice(start, start + TILE)
            self._distances(rows, tile, distance_BN[:, tile])
            self._relevance(rows, tile, relevant_BN[:, tile])
        return distance_BN, relevant_BN

    def _distances(self, rows: slice, tile: slice, out_BT: Distances) -> None:
        differing_BT = self.codes_QW[rows, :1] ^ self.codes_WN[0, tile]
        np.bitwise_count(differing_BT, out=out_BT)
        for word in range(1, len(self.codes_WN)):
            np.bitwise_xor(
                self.codes_QW[rows, word, None], self.codes_WN[word, tile], out=differing_BT
            )
            out_BT += np.bitwise_count(differing_BT)

    def _relevance(self, rows: slice, tile: slice, out_BT: Bools) -> None:
        shared_BT = self.labels_QW[rows, :1] & self.labels_WN[0, tile]
        for word in range(1, len(self.labels_WN)):
            shared_BT |= self.labels_QW[rows, word, None] & self.labels_WN[word, tile]
        np.not_equal(shared_BT, 0, out=out_BT)


def pair_up(
    query_codes: ArrayLike, item_codes: ArrayLike, query_labels: ArrayLike, item_labels: ArrayLike
) -> HammingPairs:
    """Return the pairs of packed codes [Q, Y] and [N, Y] with labels [Q, C] and [N, C].

    Raises CrossRayError for codes that are no bytes or of two lengths, labels that are not boolean
    or of two vocabularies, rows that do not fit, and when there is no query or no item.
    """
    codes_QY, codes_NY = _codes("queries", query_codes), _codes("items", item_codes)
    if codes_QY.shape[1] != codes_NY.shape[1]:
        raise CrossRayError(
            f"queries of {8 * codes_QY.shape[1]} bits cannot be compared with items of "
            f"{8 * codes_NY.shape[1]} bits: use the model that made the items' codes."
        )
    labels_QC = _labels("queries", query_labels, len(codes_QY))
    labels_NC = _labels("items", item_labels, len(codes_NY))
    if labels_QC.shape[1] != labels_NC.shape[1]:
        raise CrossRayError(
            f"the queries have {labels_QC.shape[1]} label columns and the items "
            f"{labels_NC.shape[1]}: encode both over one vocabulary."
        )
    return HammingPairs(
        codes_QW=_words(codes_QY),
        codes_WN=np.ascontiguousarray(_words(codes_NY).T),
        labels_QW=_words(np.packbits(labels_QC, axis=1)),
        labels_WN=np.ascontiguousarray(_words(np.packbits(labels_NC, axis=1)).T),
        bits=8 * codes_QY.shape[1],
    )


def _codes(whose: str, codes: ArrayLike) -> NDArray[np.uint8]:
    packed_RY = np.asarray(codes)
    if packed_RY.dtype != np.uint8 or packed_RY.ndim != 2 or packed_RY.size == 0:
        raise CrossRayError(
            f"the codes of the {whose} must be bytes [rows, bits / 8] with at least one row, not "
            f"{packed_RY.dtype} of shape {packed_RY.shape}: pack the bits eight a byte."
        )
    return packed_RY


def _labels(whose: str, labels: ArrayLike, rows: int) -> Bools:
    labels_RC = as_bools(f"the labels of the {whose}", labels)
    if len(labels_RC) != rows or labels_RC.shape[1] == 0:
        raise CrossRayError(
            f"the labels of the {whose} have the shape {labels_RC.shape} for {rows} codes: pass "
            f"one row a code and at least one label."
        )
    return labels_RC


def _words(bytes_RY: NDArray[np.uint8]) -> Words:
    """The rows in the shortest words that hold them, or in words of 8 bytes, padded with zeros."""
    length = bytes_RY.shape[1]
    size = min(8, 1 << (length - 1).bit_length())
    padded_RY = np.pad(bytes_RY, ((0, 0), (0, -length % size)))
    words_RW: Words = padded_RY.view(f"u{size}")
    return words_RW
