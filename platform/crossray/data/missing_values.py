"""Which texts say nothing: words for a missing value, and characters that show nothing.

pandas, R and spreadsheets each have words for a missing value; a caption of zero-width characters
is no caption.
"""

import regex

# What `pandas.read_csv` takes for missing, in any case: a caption, a label or a patient that is
# one of these words and nothing else is a cell that some program found empty.
_WORDS = frozenset(
    {
        "nan", "-nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "#n/a n/a", "#na",
        "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
    }
)  # fmt: skip
# Combining marks do not count, which show nothing alone; nor do characters without a
# glyph (controls, formats, private use) and everything that Unicode lets a font ignore. The
# last class is of letters and symbols that are blank nevertheless, such as U+2800 of Braille.
_VISIBLE = regex.compile(
    r"(?V1)[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}"
    r"\u2800\ufffc\U00013441\U00013442\U0001d159]]"
)


def is_missing(text: str) -> bool:
    """Whether a cell of a table is blank or holds only a word for a missing value."""
    return present(text) == ""


def present(text: str) -> str:
    """The cell's text, stripped; "" where it holds only a word for a missing value."""
    stripped = text.strip()
    return "" if stripped.casefold() in _WORDS else stripped


def is_visible(text: str) -> bool:
    """Whether `text` has a letter, a digit, a mark of punctuation or a symbol that is shown."""
    return _VISIBLE.search(text) is not None
