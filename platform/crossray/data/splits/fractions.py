"""Nested fractions and folds of the items, balanced by label."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError
from crossray.data.split import hashed_point

ANNOTATED_FRACTIONS = (1.0, 0.5, 0.3, 0.2, 0.05)
REPORT_COVERAGES = (0.25, 0.5, 0.75, 0.9)


def nested_subset(
    item_ids: Sequence[str], labels: Sequence[Sequence[str]], fraction: float, seed: int
) -> NDArray[np.bool_]:
    """Which items [N] stay as they are: round(`fraction` N) of them, balanced and nested.

    For one seed the subset of a smaller fraction lies within that of a larger one. Items are
    stratified by their rarest label, and those without labels are a separate stratum: of each
    stratum of n items the subset holds fraction n, give or take 2. The order of the items changes
    nothing. Raises CrossRayError for a fraction out of (0, 1] and for lists of different lengths.
    """
    if not 0 < fraction <= 1:
        raise CrossRayError(f"the share is {fraction}: give a number above 0 and up to 1.")
    if len(item_ids) != len(labels):
        raise CrossRayError(
            f"a nested subset needs one label list an item, not {len(labels)} lists for "
            f"{len(item_ids)} items: pass both of the same rows."
        )
    carried = Counter(name for names in labels for name in set(names))
    strata: dict[str, list[int]] = {}
    for row, names in enumerate(labels):
        rarest = min(names, key=lambda name: (carried[name], name), default="")
        strata.setdefault(rarest, []).append(row)
    place_N = np.empty(len(item_ids))
    for name, rows in strata.items():
        rows.sort(key=lambda row: hashed_point(seed, "annotated", item_ids[row]))
        # Strata start at different places, else all small ones would enter at one fraction.
        place_N[rows] = (np.arange(len(rows)) + hashed_point(seed, "stratum", name)) / len(rows)
    kept_N = np.zeros(len(item_ids), dtype=bool)
    # Equal places are ordered by the ids, not by the order of the items.
    order = np.lexsort((np.asarray(item_ids, dtype=str), place_N))
    kept_N[order[: round(fraction * len(item_ids))]] = True
    return kept_N


def assign_folds(
    group_ids: Sequence[str], labels: Sequence[Sequence[str]], folds: int = 5, seed: int = 0
) -> NDArray[np.int64]:
    """The fold [N], 0 to `folds` - 1, of every item: all items of a group (patient) fall together.

    Greedy: groups with many labelled items come first, ties in an order drawn by `seed`, and each
    goes where the shares of its labels and of the items become most even. Neither the order of the
    items nor that of their labels changes the result. Raises CrossRayError for lists of different
    lengths, less than two folds, and fewer groups than folds.
    """
    names, group_N = np.unique(np.asarray(group_ids, dtype=str), return_inverse=True)
    if len(group_ids) != len(labels) or folds < 2 or names.size < folds:
        raise CrossRayError(
            f"{folds} folds cannot be made of {names.size} groups ({len(group_ids)} items with "
            f"{len(labels)} label lists): give two or more folds, no more than there are groups, "
            f"and one label list an item."
        )
    count_GC = _counts(group_N, labels, names.size)
    share_GC = count_GC / count_GC.sum(axis=0)
    order = np.random.default_rng(seed).permutation(names.size)
    order = order[np.argsort(-share_GC[order].max(axis=1), kind="stable")]
    fold_G = np.empty(names.size, dtype=np.int64)
    share_FC = np.zeros((folds, share_GC.shape[1]))
    empty = folds
    for done, group in enumerate(order):
        # Moving one group into fold f changes the sum of squared shares by this much.
        cost_F = share_GC[group] @ (2 * share_FC + share_GC[group]).T
        if names.size - done <= empty:  # the last groups are for the folds that have none
            cost_F[share_FC.any(axis=1)] = np.inf
        fold = int(np.argmin(cost_F))
        empty -= not share_FC[fold].any()
        share_FC[fold] += share_GC[group]
        fold_G[group] = fold
    return fold_G[group_N]


def _counts(
    group_N: NDArray[np.int64], labels: Sequence[Sequence[str]], groups: int
) -> NDArray[np.float64]:
    """Items of each group [G, 1 + C]: all of them, then those with each label."""
    vocabulary = sorted({name for names in labels for name in names})
    column = {name: number for number, name in enumerate(vocabulary, start=1)}
    count_GC = np.zeros((groups, 1 + len(vocabulary)))
    for group, names in zip(group_N, labels, strict=True):
        count_GC[group, [0, *(column[name] for name in set(names))]] += 1
    return count_GC
