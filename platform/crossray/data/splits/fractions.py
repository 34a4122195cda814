"""Less annotation: nested subsets of the pairs, or of those that keep their text."""

from __future__ import annotations

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
    stratified by their rarest label, and those without labels are a stratum of their own: of each
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
        # Strata start at places of their own, else all small ones would enter at one fraction.
        place_N[rows] = (np.arange(len(rows)) + hashed_point(seed, "stratum", name)) / len(rows)
    kept_N = np.zeros(len(item_ids), dtype=bool)
    # Equal places are told apart by the ids, not by the order of the items.
    order = np.lexsort((np.asarray(item_ids, dtype=str), place_N))
    kept_N[order[: round(fraction * len(item_ids))]] = True
    return kept_N
