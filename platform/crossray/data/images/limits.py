"""How large an image may be, judged by its header before anything of its size is allocated."""

from __future__ import annotations

from crossray.data.rejection import Rejected

MAX_BYTES = 64 << 20
MAX_PIXELS = 64_000_000
MAX_RASTER = 4 * MAX_PIXELS  # bytes of the decoded values


def check_size(width: int, height: int, pixel_bytes: int = 1) -> None:
    """Raise `Rejected` for no pixels, over `MAX_PIXELS`, or values of over `MAX_RASTER` bytes."""
    size = f"{width:,} x {height:,} pixels"
    if width < 1 or height < 1:
        raise Rejected("broken image", size)
    if width * height > MAX_PIXELS:
        raise Rejected("image too large", f"{size}, the limit is {MAX_PIXELS:,}")
    if (raster := width * height * pixel_bytes) > MAX_RASTER:
        detail = f"{size} of {pixel_bytes} bytes ({raster:,} bytes), the limit is {MAX_RASTER:,}"
        raise Rejected("image too large", detail)
