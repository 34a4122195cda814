"""Which stored value is black and which is white in images of more than 8 bits a channel."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from crossray.core.errors import CrossRayError

_GIVEN = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Range:
    """The value that is black and the value that is white; low < high."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.low)}..{_short(self.high)}"


GreyRange = Literal["auto", "full"] | Range
"""How the range of an image is found.

`auto` takes what the file declares. Where a file of 16 bits declares nothing, it is read as 12
bits if none of its values is above 4,095. `full` takes all that the file's values can hold.
A `Range` holds for every image of more than 8 bits.
"""


def parse_grey_range(text: str) -> GreyRange:
    """The value of `--grey-range`; raises `CrossRayError`."""
    if text == "auto":
        return "auto"
    if text == "full":
        return "full"
    if found := _GIVEN.fullmatch(text):
        low, high = float(found[1]), float(found[2])
        if 0 < high - low < math.inf:
            return Range(low, high)
    raise CrossRayError(
        f"--grey-range {text} is no range; give auto, full, or the values of black and white, "
        "such as 0..4095."
    )


def _short(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"
