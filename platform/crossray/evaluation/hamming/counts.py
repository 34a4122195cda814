"""Items and relevant items at each Hamming distance: all that an expectation over ties needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.hamming.pairs import Distances, HammingPairs, pair_up
from crossray.evaluation.metrics.arrays import Bools, Ints
from crossray.evaluation.metrics.ranking import Cut


@dataclass(frozen=True)
class HammingCounts:
    """Of each query, how many `items` and how many `relevant` items lie at each distance.

    Both are [Q, K + 1] for codes of K bits; column d counts the items at distance d.
    """

    items_QD: Ints
    relevant_QD: Ints

    @property
    def relevant_Q(self) -> Ints:  # noqa: N802, an array [Q]
        """Relevant items in the whole database, [Q]."""
        relevant_Q: Ints = self.relevant_QD.sum(axis=1)
        return relevant_Q

    def cut(self, k: int) -> Cut:
        """Return the items of one distance at rank `k`; beyond the last item the last of them."""
        through_QD = np.cumsum(self.items_QD, axis=1)
        rank_Q = np.minimum(k, through_QD[:, -1])
        at_Q1 = np.argmax(through_QD >= rank_Q[:, None], axis=1)[:, None]
        size_Q, hits_Q, through_Q, found_Q = (
            np.take_along_axis(values_QD, at_Q1, axis=1)[:, 0]
            for values_QD in (
                self.items_QD, self.relevant_QD, through_QD, np.cumsum(self.relevant_QD, axis=1),
            )
        )  # fmt: skip
        return Cut(rank_Q - (through_Q - size_Q), size_Q, hits_Q, found_Q - hits_Q)

    def take(self, rows: Bools) -> HammingCounts:
        """Return the counts of some of the queries."""
        return HammingCounts(self.items_QD[rows], self.relevant_QD[rows])


def hamming_counts(
    query_codes_QY: ArrayLike,
    item_codes_NY: ArrayLike,
    query_labels_QC: ArrayLike,
    item_labels_NC: ArrayLike,
) -> HammingCounts:
    """Count the items at each Hamming distance; relevant are those with a label in common.

    Codes are packed, eight bits a byte, Y = K / 8; labels are boolean over one vocabulary. Raises
    CrossRayError for codes that are no bytes or of two lengths, labels that are not boolean or of
    two vocabularies, rows that do not fit, and when there is no query or no item.
    """
    return count_pairs(pair_up(query_codes_QY, item_codes_NY, query_labels_QC, item_labels_NC))


def count_pairs(pairs: HammingPairs) -> HammingCounts:
    """Count the items and the relevant items of every query at each distance."""
    count_QDR = pairs.map(partial(_counts, bins=2 * (pairs.bits + 1))).reshape(
        pairs.queries, pairs.bits + 1, 2
    )
    return HammingCounts(count_QDR.sum(axis=2), count_QDR[:, :, 1])


def _counts(distance_BN: Distances, relevant_BN: Bools, bins: int) -> Ints:
    """Items that are not relevant and items that are, distance after distance, [B, bins]."""
    key_BN = distance_BN
    key_BN += distance_BN  # in place: the distances are not needed again
    key_BN |= relevant_BN
    return np.stack([_histogram(key_N, bins) for key_N in key_BN])


def _histogram(key_N: Distances, bins: int) -> Ints:
    """Occurrences of each key below `bins`, [bins].

    Counting two keys in one step takes half the steps, and these seldom wait for each other; it
    pays while the table of pairs is small beside the keys.
    """
    half, odd = divmod(len(key_N), 2)
    if bins * bins > min(1 << 16, half):
        return np.bincount(key_N, minlength=bins)
    pair_M = np.multiply(key_N[:half], np.uint16(bins), dtype=np.uint16)
    pair_M += key_N[half : 2 * half]
    count_VV = np.bincount(pair_M, minlength=bins * bins).reshape(bins, bins)
    count_V: Ints = count_VV.sum(axis=0) + count_VV.sum(axis=1)
    if odd:
        count_V[key_N[-1]] += 1
    return count_V
