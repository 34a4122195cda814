"""Which texts show nothing: a caption of zero-width characters is no caption."""

from __future__ import annotations

import regex

# Marks are left out, for alone they have nothing to stand on; so are characters without a glyph of
# their own (controls, formats, private use) and everything that Unicode lets a font ignore. The
# last class is of letters and symbols that are blank nevertheless, such as U+2800 of Braille.
_VISIBLE = regex.compile(
    r"(?V1)[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}"
    r"\u2800\ufffc\U00013441\U00013442\U0001d159]]"
)


def is_visible(text: str) -> bool:
    """Whether `text` has a letter, a digit, a mark of punctuation or a symbol that is shown."""
    return _VISIBLE.search(text) is not None
