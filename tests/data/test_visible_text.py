"""Texts that show nothing."""

from __future__ import annotations

import pytest

from crossray.data.missing_values import is_visible
from crossray.data.sentences import as_document

INVISIBLE = {
    "nothing": "", "blanks": " \t\u00a0\u3000\u2028", "zero width": "\u200b\u200c\u200d\u2060",
    "byte order mark": "\ufeff", "soft hyphen": "\u00ad", "directions": "\u200e\u200f\u061c",
    "embeddings": "\u202a\u202c\u2066\u2069", "operators": "\u2061\u2064", "joiner": "\u034f",
    "variation": "\ufe0f\ufe00\U000e0100", "tags": "\U000e0041\U000e007f",
    "Hangul fillers": "\u115f\u1160\u3164\uffa0", "Braille blank": "\u2800",
    "Khmer vowels": "\u17b4\u17b5", "Mongolian": "\u180b\u180e", "control": "\0\x07\x1b\x7f\x85",
    "interlinear": "\ufff9\ufffb", "object": "\ufffc", "private use": "\ue000\U000f0000",
    "unassigned": "\u0378\ufff0\U000e0fff", "half a character": "\ud83d", "mark": "\u0301\u20dd",
    "music": "\U0001d173\U0001d159", "shorthand": "\U0001bca0", "blank sign": "\U00013441",
}  # fmt: skip
VISIBLE = (
    "a", "7", ".", "\u200bA\u200b", "\u00e9", "e\u0301", "\u732b", "\ud55c", "\u2801", "+", "_",
    "\U0001f600", "\u2764\ufe0f", "\U0001fae8", "\u0e01\u0e33", "\ufffd", "\u2014", "\u00bd",
)  # fmt: skip


@pytest.mark.parametrize("name", INVISIBLE)
def test_nothing_to_see(name: str) -> None:
    """A caption that nobody sees would be trained on, or stop the training."""
    assert not is_visible(INVISIBLE[name])
    assert not any(map(is_visible, INVISIBLE[name]))
    assert as_document({"findings": INVISIBLE[name]}) == ([], [])


@pytest.mark.parametrize("text", VISIBLE)
def test_something_to_see(text: str) -> None:
    """Short captions, and those of other scripts, are captions."""
    assert is_visible(text)
