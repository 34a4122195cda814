"""How many relevant items stand above a rank cut-off inside a tie block."""

from __future__ import annotations

import numpy as np

from crossray.evaluation.metrics.arrays import Floats, Ints


def chance_of_hits(hits: int, size_Q: Ints, relevant_Q: Ints, taken_Q: Ints) -> Floats:
    r"""Probability that `taken` items drawn from a block hold exactly `hits` relevant ones, [Q].

    $$P(h) = \binom{r}{h} \binom{n-r}{m-h} \Big/ \binom{n}{m}$$

    for a block of $n$ (`size`) items of which $r$ are relevant and $m$ are taken; 0 or 1 for a
    block that is taken whole.
    """
    chance_Q: Floats = (relevant_Q == hits).astype(np.float64)
    split_Q = taken_Q < size_Q
    if split_Q.any():
        from scipy.stats import hypergeom  # a second to import, and without ties not needed

        chance_Q[split_Q] = hypergeom.pmf(
            hits, size_Q[split_Q], relevant_Q[split_Q], taken_Q[split_Q]
        )
    return chance_Q
