"""Encoded images of unknown origin: bounded before they are decoded, decoded to find damage."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from crossray.data.rejection import Rejected

MAX_PIXELS = 64_000_000
MAX_BYTES = 64 << 20
_KEPT = ("JPEG", "PNG")
_READ = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 exchange the sides
_PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")


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
                raise Rejected("image outside the folder", f"{self.name!r}")
            if not path.is_file():
                raise Rejected("missing image", f"there is no file {self.name!r}")
            limit = MAX_BYTES if max_bytes is None else max_bytes
            if (size := path.stat().st_size) > limit:
                raise Rejected("image too large", f"{self.name!r} has {size:,} bytes")
            return path.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:  # name too long, NUL, link loop
            raise Rejected("missing image", f"{self.name!r}: {_short(error)}") from None


def check_image(data: bytes) -> tuple[str, int, int]:
    """The format, width and height of an encoded image that decodes to its last row.

    The header is judged before anything is decoded, so that a small file that claims a huge
    raster is refused without allocating it. Raises `Rejected` for more than `MAX_BYTES` or
    `MAX_PIXELS`, for damage, and for a format other than JPEG, PNG, GIF, WebP, BMP and TIFF.
    """
    with _open(data) as image:
        _decode(image)
        # Pillow calls a JPEG with more than one picture MPO; the first picture is a plain JPEG.
        return "JPEG" if image.format == "MPO" else str(image.format), image.width, image.height


def shown_shape(data: bytes) -> tuple[int, int]:
    """Rows and columns of an encoded image as it is shown; only its header is read."""
    with Image.open(io.BytesIO(data), formats=_READ) as image:
        turned = image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def stored_image(data: bytes) -> bytes:
    """The bytes to keep: JPEG and PNG as they came, other formats re-encoded to PNG.

    Of several frames or pages the first is kept. Raises what `check_image` raises.
    """
    form, _, _ = check_image(data)
    if form in _KEPT:
        return data
    with _open(data) as image:
        _decode(image)
        if image.mode in ("F", "I"):
            raise Rejected("broken image", f"{form} with 32-bit pixels has no faithful PNG")
        buffer = io.BytesIO()
        frame = image if image.mode in _PNG_MODES else image.convert("RGB")
        frame.save(buffer, format="PNG")
        return buffer.getvalue()


def stored_mask(data: bytes, shape: tuple[int, int]) -> bytes:
    """A mask as a PNG of one bit a pixel: white where a pixel is lighter than mid-grey.

    Args:
        data: an encoded picture of any format that `check_image` takes.
        shape: rows and columns of the image that it belongs to, as it is shown.

    Raises `Rejected` for what `check_image` rejects, and for a mask of another size.
    """
    with _open(data) as mask:
        _decode(mask)
        size = f"{mask.width} x {mask.height}"
        if (mask.height, mask.width) != shape:
            raise Rejected("malformed mask", f"{size} on an image of {shape[1]} x {shape[0]}")
        buffer = io.BytesIO()
        mask.convert("L").point([0] * 128 + [255] * 128, "1").save(buffer, format="PNG")
        return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    if len(data) > MAX_BYTES:
        raise Rejected("image too large", f"{len(data):,} bytes, the limit is {MAX_BYTES:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_READ)
    except Image.DecompressionBombError as error:
        raise Rejected("image too large", _short(error)) from None
    except Exception as error:  # decoders of hostile bytes raise almost anything
        raise Rejected("broken image", _short(error)) from None
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width:,} x {image.height:,} pixels"
        raise Rejected("image too large", f"{size}, the limit is {MAX_PIXELS:,}")
    return image


def _decode(image: Image.Image) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except Exception as error:  # decoders of hostile bytes raise almost anything
        raise Rejected("broken image", _short(error)) from None


def _short(error: Exception) -> str:
    text = str(error).split("<_io")[0].strip() or type(error).__name__
    return " ".join(text.split())[:200]
