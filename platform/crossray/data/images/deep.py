"""Images of more than 8 bits a channel (PNG, TIFF), whose values are scaled to 8 bits.

Pillow keeps the upper 8 bits of deep colours, exchanges the bytes of some big-endian files and does
not read others, so that imagecodecs (libpng, libtiff) decodes these. It is imported where it is
used: most processes never meet such an image.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

from crossray.data.image_file import check_size
from crossray.data.images.grey_range import GreyRange, Range
from crossray.data.rejection import Rejected

ORIENTATION = 0x0112  # the EXIF and TIFF tag; 5 to 8 exchange the sides
_TWELVE_BITS = Range(0, 4095)
_BLOCK = 1 << 20  # values that are scaled at a time
_KINDS = {1: "u", 2: "i", 3: "f"}  # TIFF's SampleFormat as NumPy names it
_COLOURS = {0: 1, 1: 1, 2: 3}  # channels of TIFF's photometric interpretations that are read
_WHITE_IS_ZERO = 0
_BIG_TIFF = (b"\x2b\x00", b"\x00\x2b")
_PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


@dataclass(frozen=True)
class DeepImage:
    """The values of an image as they are stored, and what its file says about them.

    Attributes:
        values_YXC: one channel of greys or three of RGB.
        alpha_YX: opacity, in the values' scale.
        held: what the file's values can hold; None for floating-point values.
        declared: the values of black and white that the file names.
        white_is_zero: whether greys are stored inverted.
        premultiplied: whether the values are already multiplied by the opacity.
        orientation: as EXIF counts it.
    """

    values_YXC: NDArray[Any]
    alpha_YX: NDArray[Any] | None = None
    held: Range | None = None
    declared: Range | None = None
    white_is_zero: bool = False
    premultiplied: bool = False
    orientation: int = 1

    def shown(self, grey_range: GreyRange) -> tuple[Image.Image, str]:
        """The image upright in 8 bits, opaque on white, and the range that it was scaled by.

        Raises `Rejected` where nothing tells the range, and for values that are no numbers.
        """
        low, high = _ends(self.values_YXC)
        used = self._range(grey_range, low, high)
        opaque = self._opaque(grey_range, low, high)
        eights_YXC = np.empty(self.values_YXC.shape, np.uint8)
        height, width, channels = self.values_YXC.shape
        rows = max(1, _BLOCK // (width * channels))
        for top in range(0, height, rows):
            eights_YXC[top : top + rows] = self._scaled(slice(top, top + rows), used, opaque)
        image = Image.fromarray(eights_YXC[:, :, 0] if channels == 1 else eights_YXC)
        image.getexif()[ORIENTATION] = self.orientation
        cut = low < used.low or high > used.high
        return ImageOps.exif_transpose(image), f"{used}, cut off" if cut else f"{used}"

    def _range(self, wanted: GreyRange, low: float, high: float) -> Range:
        if isinstance(wanted, Range):
            return wanted
        held, declared = self.held, self.declared
        if held is not None and wanted == "full":
            return held
        if declared is not None and (held is None or declared.low <= low <= high <= declared.high):
            return declared
        if held == Range(0, 65_535):
            return _TWELVE_BITS if high <= _TWELVE_BITS.high else held
        if held is not None and held.low == 0 and held.high < 65_535:
            return held
        kind = self.values_YXC.dtype
        raise Rejected(
            "unsupported encoding",
            f"{kind.name} values from {low:g} to {high:g}, and the file does not say which is "
            "black and which is white; save 8 or 16 bits, or ingest with --grey-range LOW..HIGH",
        )

    def _scaled(self, rows: slice, used: Range, opaque: float) -> NDArray[np.uint8]:
        levels_YXC = self.values_YXC[rows].astype(np.float64)
        levels_YXC = ((levels_YXC - used.low) / (used.high - used.low)).clip(0, 1)
        if self.white_is_zero:
            levels_YXC = 1 - levels_YXC
        if self.alpha_YX is not None:
            opacity_YX1 = (self.alpha_YX[rows] / opaque).clip(0, 1)[:, :, None]
            if not self.premultiplied:
                levels_YXC = levels_YXC * opacity_YX1
            levels_YXC = (levels_YXC + 1 - opacity_YX1).clip(0, 1)
        return np.rint(255 * levels_YXC).astype(np.uint8)

    def _opaque(self, wanted: GreyRange, low: float, high: float) -> float:
        """The opacity of what is opaque: of fewer bits only if colours and opacities are."""
        if self.alpha_YX is None or self.held is None:
            return 1.0
        if wanted == "full":
            return self.held.high
        highest = max(high, float(self.alpha_YX.max()))
        if isinstance(wanted, Range) and highest <= wanted.high:
            return wanted.high
        return self._range("auto", low, highest).high


def deep_image(data: bytes) -> DeepImage | None:
    """The image of a file of more than 8 bits a channel; None for any other file.

    PNG of 2 or 4 bits with a transparent grey and TIFF of unusual depths or signed values count as
    deep: Pillow misreads them. Of several pages the first is taken. Raises `Rejected` for what is
    too large, cannot be decoded, or holds colours other than greys and RGB.
    """
    if data.startswith(PNG_SIGNATURE):
        return _png(data)
    if data.startswith(tuple(PREFIXES)):
        return _tiff(data)
    return None


def _png(data: bytes) -> DeepImage | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    found = {kind: _body(chunk) for kind, chunk in _chunks(data) if kind != b"IDAT"}
    narrow = bits < 8 and colour == 0 and b"tRNS" in found
    if not (bits == 16 or narrow) or colour not in _PNG_CHANNELS:
        return None
    check_size(width, height, pixel_bytes=_PNG_CHANNELS[colour] * 2)
    read = (b"IHDR", b"tRNS", b"IDAT", b"IEND")
    bare = PNG_SIGNATURE + b"".join(chunk for kind, chunk in _chunks(data) if kind in read)
    values_YXC = _decoded("PNG", bare, (height, width))
    channels = values_YXC.shape[2]
    alpha_YX = values_YXC[:, :, -1] if channels in (2, 4) else None  # also what tRNS says
    held = Range(0, 65_535 if bits == 16 else 255)
    significant = max(found.get(b"sBIT", b"")[: 3 if colour & 2 else 1], default=0)
    declared = Range(0, 2**significant - 1) if 0 < significant < bits == 16 else None
    return DeepImage(
        values_YXC[:, :, : channels - (alpha_YX is not None)], alpha_YX, held, declared,
        orientation=_exif_orientation(found.get(b"eXIf", b"")),
    )  # fmt: skip


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind of every chunk of a PNG file, and its bytes; the last may be cut short.

    ISO/IEC 15948, section 5.
    """
    at = len(PNG_SIGNATURE)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at : at + 12 + length]
        at += 12 + length


def _body(chunk: bytes) -> bytes:
    """What a chunk holds, without its length, kind and check sum."""
    return chunk[8:-4]


def without_text(data: bytes) -> bytes:
    """A PNG file without its texts and its colour profile."""
    return PNG_SIGNATURE + b"".join(chunk for kind, chunk in _chunks(data) if kind not in _PNG_TEXT)


def _exif_orientation(block: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(b"Exif\0\0" + block)
        return int(exif.get(ORIENTATION, 1))
    except Exception:  # readers of hostile bytes raise almost anything
        return 1


@dataclass(frozen=True)
class _TiffHeader:
    """What the tags of the first page of a TIFF say."""

    size: tuple[int, int]
    tile: tuple[int, int]
    samples: int
    bits: int
    kind: str
    photometric: int
    planar: bool
    extra: int | None
    declared: Range | None
    orientation: int


def _tiff(data: bytes) -> DeepImage | None:
    try:
        head = _tiff_header(data)
    except Exception:  # readers of hostile bytes raise almost anything
        return None  # Pillow says what is wrong
    kind, bits, samples = head.kind, head.bits, head.samples
    for width, height in (head.size, head.tile):
        check_size(width, height, samples * -(-bits // 8))
    if kind == "u" and bits in (1, 2, 4, 8):
        return None
    channels = _COLOURS.get(head.photometric, samples + 1)
    if samples < channels:
        detail = (
            f"a TIFF of {samples} channels of {bits} bits, photometric interpretation "
            f"{head.photometric}; save it as grey or RGB"
        )
        raise Rejected("unsupported encoding", detail)
    shape = (head.size[1], head.size[0])
    values_YXC = _decoded("TIFF", data, shape, head.planar and samples > 1)
    if values_YXC.shape[2] != samples:
        raise Rejected("broken image", f"{values_YXC.shape[2]} channels where it says {samples}")
    # Four samples of RGB without a word on the fourth are RGBA, as Pillow takes them.
    extra = (2 if head.extra is None else head.extra) if samples > channels else 0
    alpha_YX = values_YXC[:, :, channels] if extra in (1, 2) else None
    held = {"u": Range(0, 2**bits - 1), "i": Range(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)}
    return DeepImage(
        values_YXC[:, :, :channels], alpha_YX, held.get(kind), head.declared,
        white_is_zero=head.photometric == _WHITE_IS_ZERO, premultiplied=extra == 1,
        orientation=head.orientation,
    )  # fmt: skip


def _tiff_header(data: bytes) -> _TiffHeader:
    tags = ImageFileDirectory_v2(data[:16] if data[2:4] in _BIG_TIFF else data[:8])
    stream = BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    bits, kind = int(max(tags.get(258, (1,)))), _KINDS[int(max(tags.get(339, (1,))))]
    extra = tags.get(338)
    return _TiffHeader(
        (int(tags[256]), int(tags[257])), (int(tags.get(322, 1)), int(tags.get(323, 1))),
        int(tags.get(277, 1)), bits, kind, int(tags.get(262, _WHITE_IS_ZERO)),
        tags.get(284) == 2, int(extra[0]) if extra else None, _declared(tags, kind, bits),
        int(tags.get(ORIENTATION, 1)),
    )  # fmt: skip


def _declared(tags: ImageFileDirectory_v2, kind: str, bits: int) -> Range | None:
    """The range that SMinSampleValue and SMaxSampleValue name, or MaxSampleValue.

    Of unsigned values only a maximum that is a depth counts: others are often the largest value
    that occurs, by which two films would be scaled differently.
    """
    lows, highs = tags.get(340), tags.get(341)
    if kind == "u" and bits <= 16:
        high = float(max(highs or tags.get(281) or (0,)))
        is_depth = 0 < high < 2**bits and high == int(high) and not int(high) & int(high + 1)
        return Range(0, high) if is_depth else None
    if not lows or not highs:
        return None
    low, high = float(min(lows)), float(max(highs))
    return Range(low, high) if 0 < high - low < float("inf") else None


def _decoded(form: str, data: bytes, shape: tuple[int, int], planar: bool = False) -> NDArray[Any]:
    """The stored values, `values_YXC`; `planar`: channels are stored one after another."""
    import imagecodecs

    decode = imagecodecs.png_decode if form == "PNG" else imagecodecs.tiff_decode
    try:
        values = np.asarray(decode(data))
    except Exception as error:  # decoders of hostile bytes raise almost anything
        raise Rejected("broken image", f"{form}: {' '.join(str(error).split())[:200]}") from None
    if planar:
        values = np.moveaxis(values, 0, -1)
    values_YXC = values[:, :, None] if values.ndim == 2 else values
    if values_YXC.ndim != 3 or values_YXC.shape[:2] != shape:
        raise Rejected("broken image", f"{form}: pixels {values.shape} where it says {shape}")
    return values_YXC


def _ends(values_YXC: NDArray[Any]) -> tuple[float, float]:
    low, high = float(values_YXC.min()), float(values_YXC.max())
    if not np.isfinite(low + high):
        raise Rejected("broken image", "some values are no numbers")
    return low, high
