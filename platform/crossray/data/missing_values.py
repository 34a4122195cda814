"""What tables write where a value is missing: pandas, R and spreadsheets each have their words."""

from __future__ import annotations

# What `pandas.read_csv` takes for missing, in any case: a caption, a label or a patient that is
# one of these words and nothing else is a cell that somebody's program found empty.
_WORDS = frozenset(
    {
        "nan", "-nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "#n/a n/a", "#na",
        "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
    }
)  # fmt: skip


def is_missing(text: str) -> bool:
    """Whether a cell of a table is blank or holds only a word for a missing value."""
    return present(text) == ""


def present(text: str) -> str:
    """The cell's text, stripped; "" where it holds only a word for a missing value."""
    stripped = text.strip()
    return "" if stripped.casefold() in _WORDS else stripped
