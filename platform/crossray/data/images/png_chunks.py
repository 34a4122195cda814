"""A PNG file as its chunks (ISO/IEC 15948, section 5)."""

from __future__ import annotations

from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind of every chunk and the chunk as it stands; the last may be cut short."""
    at = len(SIGNATURE)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at : at + 12 + length]
        at += 12 + length


def body(chunk: bytes) -> bytes:
    """What a chunk holds, without its length, kind and check sum."""
    return chunk[8:-4]


def without_text(data: bytes) -> bytes:
    """The file without its texts and its colour profile."""
    return SIGNATURE + b"".join(chunk for kind, chunk in chunks(data) if kind not in _TEXT)
