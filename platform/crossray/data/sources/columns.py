"""Columns of tables: their names as the command line gives them, and the size of a cell."""

from __future__ import annotations

MAX_CELL = 16 << 20  # characters


def names(columns: str) -> list[str]:
    """The column names in a comma-separated list."""
    return [name.strip() for name in columns.split(",") if name.strip()]
