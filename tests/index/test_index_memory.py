"""Amounts of memory, read and written."""

from __future__ import annotations

import pytest

from crossray.core.errors import CrossRayError
from crossray.index.memory import format_memory, parse_memory


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("512MiB", 512 * 2**20),
        ("2GiB", 2 * 2**30),
        ("1.5GB", 1_500_000_000),
        (" 10 kib ", 10 * 1024),
        ("1B", 1),
        ("0.5KB", 500),
    ],
)
def test_amounts(text: str, amount: int) -> None:
    """A limit that is read wrongly is a replica that is killed."""
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "2", "GiB", "-1GiB", "0MiB", "2 Gi", "1,5GB", "1e3B"])
def test_refuses_anything_else(text: str) -> None:
    """A number without a unit could be meant in any."""
    with pytest.raises(CrossRayError, match="not an amount of memory"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 * 2**40, "3.0 TiB")]
)
def test_writing(amount: int, text: str) -> None:
    """A message must show the limit that was given."""
    assert format_memory(amount) == text
