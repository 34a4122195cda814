"""Amounts of memory as people write them."""

import re

from pydantic import ByteSize, TypeAdapter

from crossray.core.errors import CrossRayError

# What pydantic takes is wider: no unit, bits, and whatever follows a number that it can read.
_AMOUNT = re.compile(r"\d+(\.\d+)?\s*[KMGT]?I?B", re.IGNORECASE)
_BYTES = TypeAdapter(ByteSize)


def parse_memory(text: str) -> int:
    """Bytes of "512MiB", "1.5 GB" or "2048B".

    Raises:
        CrossRayError: not a positive number with a unit.
    """
    written = text.strip()
    amount = int(_BYTES.validate_python(written)) if _AMOUNT.fullmatch(written) else 0
    if amount < 1:
        raise CrossRayError(
            f"{text!r} is not an amount of memory; write a positive number with a unit, "
            "such as 512MiB, 2GiB or 1.5GB."
        )
    return amount


def format_memory(amount: int) -> str:
    """Bytes in the largest binary unit of which there is at least one."""
    return ByteSize(amount).human_readable(separator=" ")
