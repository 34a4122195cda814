"""The ranking by Hamming distance, from the number of items at each distance."""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from crossray.evaluation.hamming.pairs import Distances, HammingPairs, pair_up
from crossray.evaluation.metrics.arrays import Bools, Ints
from crossray.evaluation.metrics.ranking import CountedRanking


def hamming_counts(
    query_codes_QY: ArrayLike,
    item_codes_NY: ArrayLike,
    query_labels_QC: ArrayLike,
    item_labels_NC: ArrayLike,
) -> CountedRanking:
    """Count the items at each Hamming distance; relevant are those with a label in common.

    The blocks of the ranking are the distances 0 to K.

    Codes are packed, eight bits a byte, Y = K / 8; labels are boolean over one vocabulary. Raises
    CrossRayError for codes that are no bytes or of two lengths, labels that are not boolean or of
    two vocabularies, rows that do not fit, and when there is no query or no item.
    """
    return count_pairs(pair_up(query_codes_QY, item_codes_NY, query_labels_QC, item_labels_NC))


def count_pairs(pairs: HammingPairs) -> CountedRanking:
    """Count the items and the relevant items of every query at each distance."""
    count_QDR = pairs.map(partial(_counts, bins=2 * (pairs.bits + 1))).reshape(
        pairs.queries, pairs.bits + 1, 2
    )
    return CountedRanking(count_QDR.sum(axis=2), count_QDR[:, :, 1])


def _counts(distance_BN: Distances, relevant_BN: Bools, bins: int) -> Ints:
    """Items that are not relevant and items that are, distance after distance, [B, bins]."""
    key_BN = distance_BN
    key_BN += distance_BN  # in place: the distances are not needed again
    key_BN |= relevant_BN
    return np.stack([_histogram(key_N, bins) for key_N in key_BN])


def _histogram(key_N: Distances, bins: int) -> Ints:
    """Occurrences of each key below `bins`, [bins].

    Counting two keys in one step takes half the steps, and these seldom wait for each other; it
    pays while the table of pairs is small in comparison with the keys.
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
