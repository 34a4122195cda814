"""Image files by their names, and how large an image may be.

The size is judged by the header, before anything of that size is allocated.
"""

import os
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class ImageFile:
    """An image file by its `name` inside the folder `root`; the name is not trusted."""

    root: str
    name: str

    def read(self, max_bytes: int | None = None) -> bytes:
        """The file's bytes.

        Raises `Rejected` when the name leads out of the folder (`..`, an absolute path, a
        symbolic link), when no such file exists or when it is larger than `max_bytes`,
        by default `MAX_BYTES`.
        """
        root = Path(self.root).resolve()
        try:
            path = (root / self.name).resolve()
            if not path.is_relative_to(root):
                raise Rejected("image outside the folder", self._outside())
            if not path.is_file():
                raise Rejected("missing image", f"there is no file {self.name!r}")
            limit = MAX_BYTES if max_bytes is None else max_bytes
            if (size := path.stat().st_size) > limit:
                raise Rejected("image too large", f"{self.name!r} has {size:,} bytes")
            return path.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:  # name too long, NUL, link loop
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise Rejected("missing image", f"{self.name!r}: {reason}") from None

    def _outside(self) -> str:
        """Why the name leads out of the folder; the message does not say where to."""
        named = Path(os.path.normpath(Path(self.root) / self.name))
        if not named.is_relative_to(os.path.normpath(self.root)):
            return f"{self.name!r}"
        return (
            f"{self.name!r} is a link, or lies behind one, that leads out of the folder; put the "
            "file itself there (cp -L follows links)"
        )
