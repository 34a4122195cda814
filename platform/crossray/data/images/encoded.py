"""Encoded images of unknown origin: bounded before they are decoded, decoded to find damage."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from crossray.data.image_file import MAX_BYTES, check_size
from crossray.data.images import deep
from crossray.data.images.file_kinds import unread_kind
from crossray.data.images.grey_range import GreyRange, Range
from crossray.data.rejection import Rejected

_KEPT = ("JPEG", "PNG")
_READ = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_COLOUR_MAP = 320
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


@dataclass(frozen=True)
class StoredImage:
    """The bytes to keep and, of more than 8 bits a channel, the range they were scaled by."""

    data: bytes
    grey_range: str | None = None


def stored_image(data: bytes, grey_range: GreyRange = "auto") -> bytes:
    """The bytes to keep of an encoded image; see `admitted_image`."""
    return admitted_image(data, grey_range).data


def admitted_image(data: bytes, grey_range: GreyRange = "auto") -> StoredImage:
    """An encoded image as JPEG or PNG that shows the same to every reader.

    JPEG is kept as it came (readers turn it by its EXIF orientation), and so is PNG of up to 8 bits
    a channel that is upright. All else becomes PNG of 8 bits, upright: values of more bits are
    scaled by `grey_range`, greys whose zero is white are inverted. Of several frames or pages the
    first is kept, of a PNG whose texts or profile cannot be read the picture.

    The header is judged before anything is decoded, so that a small file that claims a huge
    raster is refused without allocating it. Raises `Rejected` for what is too large or damaged,
    and for formats other than JPEG, PNG, GIF, WebP, BMP and TIFF.
    """
    if len(data) > MAX_BYTES:
        raise Rejected("image too large", f"{len(data):,} bytes, the limit is {MAX_BYTES:,}")
    if (parsed := _deep(data)) is not None:
        image, used = parsed.shown(grey_range)
        return StoredImage(_png(image), used)
    try:
        return StoredImage(_stored(data))
    except Rejected as error:
        if error.reason != "broken image" or not data.startswith(deep.PNG_SIGNATURE):
            raise
        return StoredImage(_stored(deep.without_text(data)))


def shown_shape(data: bytes) -> tuple[int, int]:
    """Rows and columns of a stored image as it is shown; only its header is read."""
    with Image.open(io.BytesIO(data), formats=_KEPT) as image:
        turned = image.getexif().get(deep.ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def stored_mask(data: bytes, shape: tuple[int, int]) -> bytes:
    """A mask as a PNG of one bit a pixel: white where a pixel is lighter than mid-grey.

    Of more than 8 bits a pixel the largest value that occurs is white.

    Args:
        data: an encoded picture of any format that `stored_image` takes.
        shape: rows and columns of the image that it belongs to, as it is shown.

    Raises `Rejected` for what `stored_image` rejects, and for a mask of another size.
    """
    if (parsed := _deep(data)) is not None:
        mask, _ = parsed.shown(Range(0, max(1.0, float(parsed.values_YXC.max()))))
    else:
        with _open(data) as image:
            mask = _upright(image)
    size = f"{mask.width} x {mask.height}"
    if (mask.height, mask.width) != shape:
        raise Rejected("malformed mask", f"{size} on an image of {shape[1]} x {shape[0]}")
    return _png(mask.convert("L").point([0] * 128 + [255] * 128, "1"))


def _stored(data: bytes) -> bytes:
    """`admitted_image` of what Pillow reads rightly."""
    with _open(data) as image:
        # Pillow calls a JPEG with more than one picture MPO; the first picture is a plain JPEG.
        form = "JPEG" if image.format == "MPO" else str(image.format)
        upright = _upright(image)
        if form == "JPEG" or (form == "PNG" and upright is image):
            return data
        return _png(upright)


def _deep(data: bytes) -> deep.DeepImage | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return deep.deep_image(data)


def _png(image: Image.Image) -> bytes:
    if image.mode in ("La", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" else "LA")
    try:
        frame = image if image.mode in _PNG_MODES else image.convert("RGB")
        buffer = io.BytesIO()
        frame.save(buffer, format="PNG")
    except Exception as error:  # colour spaces that Pillow does not convert
        detail = f"{image.mode} pixels ({_short(error)}); save it as grey or RGB"
        raise Rejected("unsupported encoding", detail) from None
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    """The image of a header of allowed size, not decoded yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=_READ)
    except Image.DecompressionBombError as error:
        raise Rejected("image too large", _short(error)) from None
    except Exception as error:  # decoders of hostile bytes raise almost anything
        if (kind := unread_kind(data)) is not None:
            raise Rejected("unsupported encoding", kind) from None
        raise Rejected("broken image", _short(error)) from None
    check_size(image.width, image.height)
    return image


def _upright(image: Image.Image) -> Image.Image:
    """The image, decoded to its last row and turned by EXIF; itself where nothing turns it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            _mend_palette(image)
            if image.getexif().get(deep.ORIENTATION, 1) in range(2, 9):
                return ImageOps.exif_transpose(image)
            return image
    except Exception as error:  # decoders of hostile bytes raise almost anything
        raise Rejected("broken image", _short(error)) from None


def _mend_palette(image: Image.Image) -> None:
    """Read a TIFF's palette as 8 bits where all its entries of 16 are that small, as libtiff does.

    Pillow keeps the upper byte, so that the picture would be black.
    """
    entries = image.tag_v2.get(_COLOUR_MAP) if isinstance(image, TiffImageFile) else None
    if entries and image.mode == "P" and max(entries) < 256:
        third = len(entries) // 3
        image.putpalette([entries[at + third * c] for at in range(third) for c in range(3)])


def _short(error: Exception) -> str:
    text = str(error).split("<_io")[0].strip() or type(error).__name__
    return " ".join(text.split())[:200]
