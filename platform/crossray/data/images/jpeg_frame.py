"""What the header of a JPEG or JPEG-LS frame says (ITU-T T.81, B.2.2), before it is decoded."""

from __future__ import annotations

from typing import NamedTuple

JPEG_LS = 0xF7
_START_OF_FRAME = {*range(0xC0, 0xD0), JPEG_LS} - {0xC4, 0xC8, 0xCC}
_LONGEST = 10  # bytes from the marker to the number of samples


class FrameHeader(NamedTuple):
    """What a compressed frame says of itself; `precision` is its bits a sample."""

    rows: int
    columns: int
    samples: int
    precision: int


def frame_header(data: bytes) -> tuple[int, FrameHeader] | None:
    """The marker and the header of the frame; None where `data` ends or breaks before it."""
    at = 2
    while at + _LONGEST <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            rows, columns = (int.from_bytes(data[at + k : at + k + 2], "big") for k in (5, 7))
            return marker, FrameHeader(rows, columns, data[at + 9], data[at + 4])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
