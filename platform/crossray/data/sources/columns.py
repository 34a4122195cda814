"""Column names as the command line gives them."""

from __future__ import annotations


def names(columns: str) -> list[str]:
    """The column names in a comma-separated list."""
    return [name.strip() for name in columns.split(",") if name.strip()]
