"""TIFF and PNG files made byte by byte, so that their writer is no part of what reads them.

Legend: `values_YXC` stored values; `level` in [0, 1], 0 black.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
_SIZES = {3: "H", 4: "I", 12: "d"}
COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773}


def packed(values_YXC: Values, bits: int, order: str) -> bytes:
    """Rows of values as TIFF and PNG store them; whole bytes in `order`, else bit by bit."""
    if bits % 8 == 0 and bits != 24:
        kind = values_YXC.dtype.kind
        number = np.dtype(f"{'f' if kind == 'f' else 'i' if kind == 'i' else 'u'}{bits // 8}")
        return values_YXC.astype(number.newbyteorder(order)).tobytes()
    rows = b""
    for row in values_YXC:
        digits = "".join(f"{int(value):0{bits}b}" for value in row.ravel())
        digits += "0" * (-len(digits) % 8)
        rows += int(digits, 2).to_bytes(len(digits) // 8, "big")
    return rows


def tiff(
    values_YXC: Values,
    bits: int,
    photometric: int,
    order: str = "<",
    compression: str = "none",
    planar: bool = False,
    predictor: bool = False,
    tags: Sequence[tuple[int, int, Sequence[float]]] = (),
) -> bytes:
    """A TIFF of one strip, or of one a channel; `tags` are further (tag, type, values)."""
    height, width, channels = values_YXC.shape
    parts = [values_YXC[:, :, [c]] for c in range(channels)] if planar else [values_YXC]
    if predictor:
        parts = [np.diff(part, axis=1, prepend=0).astype(part.dtype) for part in parts]
    strips = [_compressed(part, bits, order, compression) for part in parts]
    kind = {"u": 1, "i": 2, "f": 3}[values_YXC.dtype.kind]
    found: list[tuple[int, int, Sequence[float] | None]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * channels),
        (259, 3, [COMPRESSIONS[compression]]), (262, 3, [photometric]), (273, 4, None),
        (277, 3, [channels]), (278, 4, [height]), (279, 4, [len(strip) for strip in strips]),
        (284, 3, [2 if planar else 1]), (317, 3, [2 if predictor else 1]),
        (339, 3, [kind] * channels), *tags,
    ]  # fmt: skip
    blob, start = b"", 8 + 2 + 12 * len(found) + 4
    offsets = []
    for strip in strips:
        offsets.append(start + len(blob))
        blob += strip + bytes(len(strip) % 2)
    entries = b""
    for tag, size, numbers in sorted(found, key=lambda entry: entry[0]):
        wanted = offsets if numbers is None else numbers
        body = struct.pack(f"{order}{len(wanted)}{_SIZES[size]}", *wanted)
        at = struct.pack(f"{order}I", start + len(blob)) if len(body) > 4 else body.ljust(4, b"\0")
        blob += body + bytes(len(body) % 2) if len(body) > 4 else b""
        entries += struct.pack(f"{order}HHI", tag, size, len(wanted)) + at
    mark = b"II*\0" if order == "<" else b"MM\0*"
    count = struct.pack(f"{order}H", len(found))
    return mark + struct.pack(f"{order}I", 8) + count + entries + bytes(4) + blob


def png(values_YXC: Values, bits: int, colour: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of a colour type, with `extra` chunks before its pixels."""
    height, width, _ = values_YXC.shape
    rows = b"".join(b"\0" + packed(row[None], bits, ">") for row in values_YXC)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def _compressed(values_YXC: Values, bits: int, order: str, compression: str) -> bytes:
    if compression == "packbits":  # packs every row by itself
        rows = (packed(row[None], bits, order) for row in values_YXC)
        return b"".join(imagecodecs.packbits_encode(row) for row in rows)
    strip = packed(values_YXC, bits, order)
    if compression == "lzw":
        return bytes(imagecodecs.lzw_encode(strip))
    return zlib.compress(strip) if compression == "deflate" else strip
