"""The picture of an explanation holds together for any text."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossray.core.errors import CrossRayError
from crossray.data.words import Word
from crossray.explain.explainer import Explanation, WordContributions, save_arrays
from crossray.explain.picture import MAPS, chosen_parts, place_words, save_picture


def words(count: int) -> WordContributions:
    """Words of different lengths, of which the last five were not read."""
    rng = np.random.default_rng(0)
    shares = rng.normal(size=count)
    shares[-5:] = np.nan
    lengths = rng.integers(1, 14, count)
    return WordContributions([Word("w" * n, (), at > 0) for at, n in enumerate(lengths)], shares)


def explanation(count: int, bits: int | None = None, parts: int = 0) -> Explanation:
    """An explanation of a text of so many words."""
    rng = np.random.default_rng(1)
    return Explanation(
        "score", 0.3, None, rng.integers(0, 255, (30, 30, 3), dtype=np.uint8),
        rng.random((4, 4)), words(count), rng.normal(size=20) / 20,
        [f"part{'x' * n}" for n in range(parts)], rng.random((parts, 4, 4)),
        None if bits is None else np.where(rng.random(bits) < 0.5, 1.0, -1.0) / bits,
    )  # fmt: skip


def test_words_neither_overlap_nor_leave_the_page() -> None:
    """A long report must be readable to its end."""
    text = words(300)
    placed = place_words(text, 10)
    assert [at.word for at in placed] == list(range(300))
    for before, after in pairwise(placed):
        if after.line == before.line:
            assert after.left > before.left + before.width
        else:
            assert (after.line, after.left) == (before.line + 1, 0)
    assert max(at.left + at.width for at in placed) <= 10
    wide = WordContributions([Word("w" * 400, (0,), False), Word("x", (1,), True)], np.zeros(2))
    assert [at.line for at in place_words(wide, 10)] == [0, 1]


def test_the_page_grows_with_the_text(tmp_path: Path) -> None:
    """What is cut off at the bottom of a picture is lost without a word."""
    heights = []
    for count, bits, parts in ((6, None, 0), (300, 64, 0), (6, 8, 12)):
        save_picture(explanation(count, bits, parts), tmp_path / "out.png")
        with Image.open(tmp_path / "out.png") as image:
            assert (image.format, image.width) == ("PNG", 1440)
            heights.append(image.height)
    assert heights[0] < heights[2] < heights[1]


def test_maps_that_are_shown_are_of_the_words_that_add_most() -> None:
    """Of a hundred words those are looked at that made the score."""
    found = explanation(20)
    names = [f"word{'x' * n}" for n in range(15)]
    shown = Explanation(**{**vars(found), "parts": names, "maps_PYX": np.ones((15, 2, 2))})
    best = np.argsort(-found.words.shares_W[:15])[:MAPS]
    assert list(chosen_parts(shown)) == sorted(best)
    own = Explanation(**{**vars(found), "parts": ["slot"] * 3, "maps_PYX": np.ones((3, 2, 2))})
    assert list(chosen_parts(own)) == [0, 1, 2]


def test_paths_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    """A user who mistyped a folder reads which."""
    for save in (save_picture, save_arrays):
        with pytest.raises(CrossRayError, match="cannot be written"):
            save(explanation(6), tmp_path / "missing" / "out")
