"""What is drawn for self-supervision: hidden pixels, masked tokens, the order of sentences.

What BERT does to single tokens (Devlin et al. 2019, section 3.1) is done to complete clinical terms
here (HIER, docs/methods/hier.md).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IGNORED = -1
_MASKED, _REPLACED = 0.8, 0.1  # shares of what is chosen; the rest is kept as it is
_SMALLEST, _LARGEST = 8, 3  # sides of the rectangles: an eighth to a third of the image's

Ints = NDArray[np.int64]


def hidden_rectangles(side: int, area: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """`hidden_YX`: bool, True in random rectangles that cover `area` of a square image.

    They cover it up to the height of the last one, at most a third of `side`, in pixels.
    """
    hidden_YX = np.zeros((side, side), dtype=bool)
    wanted = round(area * side * side)
    smallest, largest = max(1, side // _SMALLEST), max(1, side // _LARGEST)
    while (missing := wanted - int(hidden_YX.sum())) > 0:
        height, width = rng.integers(smallest, largest + 1, size=2).tolist()
        width = min(width, -(-missing // height))
        top, left = (int(rng.integers(side - length + 1)) for length in (height, width))
        hidden_YX[top : top + height, left : left + width] = True
    return hidden_YX


class Vocabulary(NamedTuple):
    """The token that replaces a hidden one, and all that a random one is drawn from."""

    mask: int
    ordinary_V: Ints


class Masked(NamedTuple):
    """`tokens_T` as the model sees them; `targets_T`: what stood there, `IGNORED` elsewhere."""

    tokens_T: Ints
    targets_T: Ints


def chosen_units(unit_T: Ints, share: float, rng: np.random.Generator) -> Ints:
    """The numbers of the units that are masked: `share` of those that occur, at least one.

    `unit_T`: the unit that each token is part of, negative for none. The expected number is
    `share` times their number where that is 1 or more.
    """
    units = np.unique(unit_T[unit_T >= 0])
    if not len(units):
        return units
    count = max(1, int(share * len(units) + rng.random()))
    return np.sort(rng.choice(units, count, replace=False))


def mask_units(
    tokens_T: Ints, unit_T: Ints, share: float, vocabulary: Vocabulary, rng: np.random.Generator
) -> Masked:
    """Mask complete units: 80 % become mask tokens, 10 % random tokens, 10 % stay as they are."""
    seen_T, targets_T = tokens_T.copy(), np.full_like(tokens_T, IGNORED)
    for unit in chosen_units(unit_T, share, rng):
        of_unit_T = unit_T == unit
        targets_T[of_unit_T] = tokens_T[of_unit_T]
        draw = rng.random()
        if draw < _MASKED:
            seen_T[of_unit_T] = vocabulary.mask
        elif draw < _MASKED + _REPLACED:
            seen_T[of_unit_T] = rng.choice(vocabulary.ordinary_V, int(of_unit_T.sum()))
    return Masked(seen_T, targets_T)


def single_tokens(inside_T: NDArray[np.bool_]) -> Ints:
    """Units of one token each, of the tokens that are `inside` the text."""
    return np.where(inside_T, np.arange(len(inside_T)), -1)


def ordered_or_swapped(sentences: Sequence[str], rng: np.random.Generator) -> tuple[list[str], int]:
    """The sentences cut in two at a random place, the halves swapped with probability 0.5.

    Gives 1 where they keep their order, 0 where swapped, `IGNORED` for a single sentence
    (sentence order prediction, Lan et al. 2020, section 3.1).
    """
    if len(sentences) < 2:
        return list(sentences), IGNORED
    cut = int(rng.integers(1, len(sentences)))
    if rng.random() < 0.5:
        return list(sentences), 1
    return [*sentences[cut:], *sentences[:cut]], 0
