"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from crossray.core.errors import CrossRayError

_UNITS = {
    "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def parse_memory(text: str) -> int:
    """Bytes of "512MiB", "1.5 GB" or "2048B".

    Raises:
        CrossRayError: not a positive number with a unit.
    """
    match = _AMOUNT.fullmatch(text.strip())
    unit = match and _UNITS.get(match[2].upper())
    amount = round(float(match[1]) * unit) if match and unit else 0
    if amount < 1:
        raise CrossRayError(
            f"{text!r} is not an amount of memory; write a positive number with a unit, "
            "such as 512MiB, 2GiB or 1.5GB."
        )
    return amount


def format_memory(amount: int) -> str:
    """Bytes in the largest binary unit of which there is at least one."""
    value, unit = float(amount), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
