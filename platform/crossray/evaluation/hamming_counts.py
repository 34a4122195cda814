"""Items and relevant items at each Hamming distance: all that an expectation over ties needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.arrays import Ints
from crossray.evaluation.hamming_pairs import Distances, HammingPairs, pair_up


@dataclass(frozen=True)
class HammingCounts:
    """Of each query, how many `items` and how many `relevant` items lie at each distance.

    Both are [Q, K + 1] for codes of K bits; column d counts the items at distance d.
    """

    items_QD: Ints
    relevant_QD: Ints


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
    bins = 2 * (pairs.bits + 1)
    count_QDR = np.empty((pairs.queries, pairs.bits + 1, 2), np.int64)
    for rows, distance_BN, relevant_BN in pairs.blocks():
        distance_BN += distance_BN  # a shift by one bit costs ten times as much
        distance_BN |= relevant_BN
        for query, key_N in zip(range(rows.start, rows.stop), distance_BN, strict=True):
            count_QDR[query] = _histogram(key_N, bins).reshape(-1, 2)
    return HammingCounts(count_QDR.sum(axis=2), count_QDR[:, :, 1])


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
