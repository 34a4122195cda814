"""A text as lines of coloured words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends import backend_agg
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.font_manager import FontProperties

from crossray.explain.explainer import Arrays, Words

FONT_SIZE = 11  # points
LINE = 0.27  # inches
_SPACE = 0.045  # inches
# Without the darkest shades, on which ink cannot be read.
COLORS = ListedColormap(colormaps["PiYG"](np.linspace(0.15, 0.85, 255)), "shares")
_INK, _UNREAD = "#1a1a1a", "#9a9a9a"


class Placed(NamedTuple):
    """A word on its line, both in inches from the left and lines from the top."""

    word: int
    left: float
    width: float
    line: int


def place_words(words: Words, width: float) -> list[Placed]:
    """Words set into lines of `width` inches; one that is wider has a line of its own."""
    agg: Any = backend_agg  # untyped
    renderer = agg.RendererAgg(72, 72, dpi=72)
    font = FontProperties(size=FONT_SIZE)
    placed, left, line = [], 0.0, 0
    for number, word in enumerate(words.words):
        points = renderer.get_text_width_height_descent(_plain(word.text), font, ismath=False)[0]
        inches = points / 72
        start = left + (_SPACE if word.spaced and left else 0)
        if start + inches > width and start:
            start, line = 0.0, line + 1
        placed.append(Placed(number, start, inches, line))
        left = start + inches
    return placed


def scale(shares_W: Arrays) -> Normalize:
    """The colours' scale, the same to both sides of nothing."""
    read = np.abs(shares_W)
    largest = float(np.nanmax(read)) if np.isfinite(read).any() else 0.0
    return Normalize(-(largest or 1.0), largest or 1.0)


def draw_words(axes: Axes, words: Words, placed: Sequence[Placed], width: float) -> None:
    """Draw words on axes that are `width` inches wide and as many lines high as are needed."""
    lines = placed[-1].line + 1
    axes.set_xlim(0, width)
    axes.set_ylim(lines, 0)
    axes.axis("off")
    norm = scale(words.shares_W)
    for at in placed:
        share = words.shares_W[at.word]
        unread = bool(np.isnan(share))
        box = {"facecolor": "none" if unread else COLORS(norm(share)), "edgecolor": "none"}
        axes.text(
            at.left,
            at.line + 0.5,
            _plain(words.words[at.word].text),
            fontsize=FONT_SIZE,
            va="center",
            color=_UNREAD if unread else _INK,
            parse_math=False,
            bbox={**box, "pad": 1.2},
        )


def _plain(text: str) -> str:
    """What a font without every script can show."""
    return text if text.isprintable() else text.encode("ascii", "replace").decode()
