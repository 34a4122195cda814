"""Every depth, byte order, meaning of values and container: right by construction, or rejected.

The files are made byte by byte from levels in [0, 1]; what a tower sees of the stored image must
be these levels to 1/255.
"""

from __future__ import annotations

import struct
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crossray.core.errors import CrossRayError
from crossray.data.images.deep import deep_image
from crossray.data.images.encoded import admitted_image, shown_shape, stored_image, stored_mask
from crossray.data.images.grey_range import GreyRange, Range, parse_grey_range
from crossray.data.rejection import Rejected
from crossray.data.transforms import decode_image
from support.raster_files import COMPRESSIONS, png, tiff

Levels = NDArray[np.float64]
GREY = np.linspace(0, 1, 64).reshape(4, 16, 1)
COLOUR = np.concatenate([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)
SMIN, SMAX, MAX, EXTRA, ORIENTATION, COLOUR_MAP = 340, 341, 281, 338, 274, 320
SHORT, DOUBLE = 3, 12
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5


def stored(levels: Levels, high: int, low: int = 0, kind: str = "u") -> NDArray[Any]:
    """Levels as whole values from `low` to `high`."""
    return np.rint(low + levels * (high - low)).astype(f"{kind}4")


def assert_shows(data: bytes, levels: Levels, grey_range: GreyRange = "auto") -> None:
    """A tower sees the levels, and the same of what is stored of the stored."""
    kept = stored_image(data, grey_range)
    seen_YXC = decode_image(kept).permute(1, 2, 0).numpy() / 255
    assert shown_shape(kept) == levels.shape[:2]
    wanted_YXC = np.broadcast_to(levels, seen_YXC.shape)
    np.testing.assert_allclose(seen_YXC, wanted_YXC, rtol=0, atol=1.001 / 255)
    assert stored_image(kept, grey_range) == kept


def rejected(data: bytes, grey_range: GreyRange = "auto") -> str:
    """What is said of a file whose greys cannot be known."""
    with pytest.raises(Rejected) as caught:
        stored_image(data, grey_range)
    assert caught.value.reason == "unsupported encoding"
    return caught.value.detail


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16])
def test_unsigned_tiff(bits: int, order: str, compression: str) -> None:
    """A film whose greys are inverted, saturated or near black is found by no question."""
    step = 1 / (2**bits - 1)
    for photometric, levels in (
        (WHITE_IS_ZERO, GREY), (BLACK_IS_ZERO, GREY), (RGB, COLOUR), (PALETTE, GREY),
    ):  # fmt: skip
        exact = np.rint(levels / step) * step  # what so many bits can hold
        values = stored(1 - exact if photometric == WHITE_IS_ZERO else exact, 2**bits - 1)
        if photometric == RGB and bits < 8:
            continue  # Pillow and libtiff have no such pixels
        if photometric == PALETTE:
            if bits > 8:
                assert "photometric" in rejected(tiff(values, bits, PALETTE, order, compression))
                continue
            shade = np.rint(np.linspace(0, 65535, 2**bits)).astype(int)
            table = np.concatenate([shade, shade[::-1], shade]).tolist()
            data = tiff(
                values, bits, PALETTE, order, compression, tags=[(COLOUR_MAP, SHORT, table)]
            )
            assert_shows(data, np.concatenate([exact, 1 - exact, exact], axis=2))
            continue
        assert_shows(tiff(values, bits, photometric, order, compression), exact)
        if photometric == RGB:
            assert_shows(tiff(values, bits, RGB, order, compression, planar=True), exact)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_with_predictor(bits: int, order: str) -> None:
    """Differences between neighbours that are taken for values are noise."""
    for photometric, levels in ((WHITE_IS_ZERO, GREY), (RGB, COLOUR)):
        values = stored(1 - levels if photometric == WHITE_IS_ZERO else levels, 2**bits - 1)
        small = values.astype(f"u{bits // 8}")
        assert_shows(tiff(small, bits, photometric, order, "deflate", predictor=True), levels)


@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_float_tiff(bits: int, order: str, compression: str) -> None:
    """Floating-point films have the range that is declared or given; none must be guessed."""
    for photometric, levels in ((WHITE_IS_ZERO, GREY), (BLACK_IS_ZERO, GREY), (RGB, COLOUR)):
        shown = 1 - levels if photometric == WHITE_IS_ZERO else levels
        values = (shown * 300 - 100).astype(f"f{bits // 8}")
        assert "--grey-range" in rejected(tiff(values, bits, photometric, order, compression))
        assert_shows(
            tiff(values, bits, photometric, order, compression), levels, Range(-100.0, 200.0)
        )
        channels = levels.shape[2]
        ends = [(SMIN, DOUBLE, [-100.0] * channels), (SMAX, DOUBLE, [200.0] * channels)]
        assert_shows(tiff(values, bits, photometric, order, compression, tags=ends), levels)
    values[0, 0, 0] = np.nan
    with pytest.raises(Rejected, match="no numbers"):
        stored_image(tiff(values, bits, RGB, order, compression), Range(0.0, 1.0))


@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_and_32_bit_tiff(bits: int, order: str, compression: str) -> None:
    """Hounsfield units read as unsigned greys make air white."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    values = stored(GREY, high, low, "i")
    data = tiff(values, bits, BLACK_IS_ZERO, order, compression)
    assert "--grey-range" in rejected(data)
    exact = (values - float(low)) / (high - float(low))
    assert_shows(data, exact, "full")
    assert_shows(data, (exact * 2 - 0.5).clip(0, 1), Range(low / 2, high / 2))
    wide = tiff(stored(GREY, 2**32 - 1), 32, WHITE_IS_ZERO, order, compression)
    assert "--grey-range" in rejected(wide)
    assert_shows(wide, 1 - GREY, "full")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
def test_transparent_tiff(bits: int, order: str) -> None:
    """What nobody sees in the picture must not be seen by the model, either."""
    high = 2**bits - 1
    alpha, *others = (np.rint(part * high) / high for part in (GREY[::-1] ** 0.5, GREY, COLOUR))
    for photometric, levels in zip((BLACK_IS_ZERO, RGB), others, strict=True):
        on_white = levels * alpha + 1 - alpha
        for extra, colours in ((0, levels), (1, levels * alpha), (2, levels)):
            values = stored(np.concatenate([colours, alpha], axis=2), high)
            for planar in (False, True):
                if planar and bits == 8:
                    continue
                data = tiff(
                    values, bits, photometric, order, planar=planar, tags=[(EXTRA, SHORT, [extra])]
                )
                # Pillow divides what is multiplied by the opacity, which costs it some greys.
                shown = levels if extra == 0 else on_white
                if not (extra == 1 and bits == 8):
                    assert_shows(data, shown)
    inks = np.concatenate([COLOUR, np.zeros_like(GREY)], axis=2)
    printed = tiff(stored(inks, high), bits, CMYK, order)
    if bits == 8:
        assert_shows(printed, 1 - COLOUR)
    else:
        assert "photometric" in rejected(printed)


@pytest.mark.parametrize(("bits", "colour"), product([1, 2, 4, 8, 16], [0, 2, 3, 4, 6]))
def test_png(bits: int, colour: int) -> None:
    """The same of PNG, with its ways to be transparent."""
    allowed = {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}.get(colour, (8, 16))
    if bits not in allowed:
        return
    high = 2**bits - 1
    channels = COLOUR if colour in (2, 6) else GREY
    exact = np.rint(channels * high) / high
    if colour == 3:
        shade = np.rint(np.linspace(0, 255, 2**bits)).astype(np.uint8)
        values, table = stored(exact, high), (b"PLTE", np.repeat(shade, 3).tobytes())
        assert_shows(png(values, bits, 3, table), exact)
        clear = png(values, bits, 3, table, (b"tRNS", b"\0"))
        assert_shows(clear, np.where(exact == 0, 1, exact))
        return
    if colour in (4, 6):
        alpha = np.rint(GREY[::-1, ::-1] ** 0.5 * high) / high
        values = stored(np.concatenate([exact, alpha], axis=2), high)
        assert_shows(png(values, bits, colour), exact * alpha + 1 - alpha)
        return
    values = stored(exact, high)
    assert_shows(png(values, bits, colour), exact)
    corner = values[-1, -1].tolist()  # one colour that is transparent
    key = (b"tRNS", struct.pack(f">{len(corner)}H", *corner))
    is_key_YX1 = (values == values[-1, -1]).all(axis=2, keepdims=True)
    assert_shows(png(values, bits, colour, key), np.where(is_key_YX1, 1, exact))


def test_depth_that_a_png_declares() -> None:
    """12 bits scaled up, as the standard asks, or not, as many writers leave them: both show."""
    for colour, levels in ((0, GREY), (2, COLOUR)):
        for bits in (9, 10, 12, 14):
            note = (b"sBIT", bytes([bits] * levels.shape[2]))
            aligned = stored(levels, 2**bits - 1)
            assert_shows(png(aligned, 16, colour, note), levels)
            assert_shows(png(aligned << (16 - bits), 16, colour, note), levels)


def test_depth_that_a_tiff_declares() -> None:
    """A maximum that is a depth is one; the largest value that occurs is none."""
    for bits, tag in product((10, 12, 14), (SMAX, MAX)):
        ends = [(tag, SHORT, [2**bits - 1])]
        assert_shows(tiff(stored(GREY, 2**bits - 1), 16, BLACK_IS_ZERO, tags=ends), GREY)
    brightest = [(MAX, SHORT, [50_000])]
    half = tiff(stored(GREY, 50_000), 16, BLACK_IS_ZERO, tags=brightest)
    assert_shows(half, GREY * 50_000 / 65_535)
    wrong = tiff(stored(GREY, 65_535), 16, BLACK_IS_ZERO, tags=[(MAX, SHORT, [1023])])
    assert_shows(wrong, GREY)


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
@pytest.mark.parametrize("container", ["PNG", "TIFF <", "TIFF >"])
def test_values_tell_the_depth(container: str, colour: int) -> None:
    """12 bits in 16 without a tag: by its values, by the container, or as the user says."""
    levels = COLOUR if colour in (2, 6) else GREY
    clear = colour in (4, 6)

    def made(high: int) -> bytes:
        values = stored(levels, high)
        if clear:
            values = np.concatenate([values, np.full_like(values[:, :, :1], high)], axis=2)
        if container == "PNG":
            return png(values, 16, colour)
        tags = [(EXTRA, SHORT, [2])] if clear else []
        return tiff(values, 16, RGB if colour in (2, 6) else 1, container[-1], tags=tags)

    for high, grey_range, white, used in (
        (4095, "auto", 4095, "0..4095"),
        (4096, "auto", 65_535, "0..65535"),
        (65_535, "auto", 65_535, "0..65535"),
        (4095, "full", 65_535, "0..65535"),
        (4095, Range(0, 4095), 4095, "0..4095"),
        (1023, Range(0, 1023), 1023, "0..1023"),
        (4095, Range(0, 1023), 1023, "0..1023, cut off"),
    ):
        assert admitted_image(made(high), grey_range).grey_range == used
        if not clear or white <= high:  # else the whole image is nearly transparent
            assert_shows(made(high), (levels * high / white).clip(0, 1), grey_range)


@pytest.mark.parametrize("form", ["WEBP", "JPEG", "GIF", "BMP"])
def test_containers_of_8_bits(form: str) -> None:
    """What Pillow wrote without loss comes back as it was; no range applies to 8 bits."""
    for levels, mode in ((GREY, "L"), (COLOUR, "RGB")):
        eights = np.rint(np.kron(levels, np.ones((8, 8, 1))) * 255).astype(np.uint8)
        picture = Image.fromarray(eights if mode == "RGB" else eights[:, :, 0])
        if form == "GIF" and mode == "RGB":
            continue  # 256 colours
        if form == "JPEG":  # of one grey a block nothing is lost
            eights = np.rint(np.kron(levels[:, :, :1], np.ones((8, 8, 3))) * 255).astype(np.uint8)
            picture = Image.fromarray(eights).convert(mode)
        buffer = BytesIO()
        options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(form, {})
        picture.save(buffer, form, **options)
        assert_shows(buffer.getvalue(), eights / 255, Range(0, 4095))
        assert admitted_image(buffer.getvalue()).grey_range is None


def test_inks_of_a_jpeg() -> None:
    """CMYK, as printers write JPEG, must not come out as a negative."""
    paper = Image.fromarray(np.full((16, 16, 4), (0, 255, 255, 0), np.uint8), "CMYK")
    buffer = BytesIO()
    paper.save(buffer, "JPEG", quality=100)
    red = decode_image(stored_image(buffer.getvalue()))[:, 8, 8]
    assert red[0] > 250
    assert red[1:].max() < 5


def test_palette_of_8_bit_entries() -> None:
    """Old writers put 8 bits into the 16 of a TIFF's palette: the picture is not black."""
    table = [*range(256)] * 3
    data = tiff(stored(GREY, 255), 8, PALETTE, tags=[(COLOUR_MAP, SHORT, table)])
    assert_shows(data, np.rint(GREY * 255) / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_images_are_turned(orientation: int) -> None:
    """A 16-bit film on its side is another film to a model."""
    turns = [(0, 0), (0, 0), (0, 1), (2, 0), (2, 1), (1, 1), (3, 0), (3, 1), (1, 0)][orientation]
    upright = np.rot90(np.fliplr(GREY) if turns[1] else GREY, turns[0])
    values = stored(GREY, 65_535)
    assert_shows(tiff(values, 16, 1, tags=[(ORIENTATION, SHORT, [orientation])]), upright)
    exif = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)
    assert_shows(png(values, 16, 0, (b"eXIf", exif)), upright)


def test_first_page_of_several() -> None:
    """A fax of three pages is its first page, also where it is deep."""
    buffer = BytesIO()
    pages = [Image.fromarray(np.full((4, 6), grey, np.uint16)) for grey in (65_535, 0, 0)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    assert_shows(buffer.getvalue(), np.ones((4, 6, 1)))


def test_deep_masks() -> None:
    """A mask whose white is 255, 4,095 or 65,535 in 16 bits covers the same pixels."""
    covered = (GREY > 0.5)[:, :, 0]
    for white in (1, 255, 4095, 65_535):
        for data in (
            png(stored(covered[:, :, None], white), 16, 0),
            tiff(stored(covered[:, :, None], white), 16, BLACK_IS_ZERO, ">"),
            tiff(stored(~covered[:, :, None], white), 16, WHITE_IS_ZERO, ">"),
        ):
            kept = Image.open(BytesIO(stored_mask(data, (4, 16))))
            assert np.array_equal(np.asarray(kept), covered)


def test_large_values_are_refused_from_the_header() -> None:
    """A kilobyte that claims gigabytes of values must not be decoded to find that out."""
    values = stored(GREY, 65_535)
    huge = tiff(values, 16, BLACK_IS_ZERO)
    width = struct.pack("<HHII", 256, 4, 1, 16)
    assert width in huge
    for claimed in (2**24, 2**31):
        data = huge.replace(width, struct.pack("<HHII", 256, 4, 1, claimed))
        with pytest.raises(Rejected) as caught:
            deep_image(data)
        assert caught.value.reason == "image too large"
    tile = [(322, 4 - 1, [60_000]), (323, 4 - 1, [60_000])]
    for bits in (8, 16):
        with pytest.raises(Rejected) as caught:
            stored_image(tiff(stored(GREY, 255), bits, BLACK_IS_ZERO, tags=tile))
        assert caught.value.reason == "image too large"
    doubles = np.zeros((1, 1, 3))
    claims = tiff(doubles, 64, RGB).replace(
        struct.pack("<HHII", 256, 4, 1, 1), struct.pack("<HHII", 256, 4, 1, 20_000_000)
    )
    with pytest.raises(Rejected, match="24 bytes"):
        stored_image(claims, Range(0, 1))


def test_grey_range_is_read() -> None:
    """A range that is mistyped must not become another one."""
    assert parse_grey_range("auto") == "auto"
    assert parse_grey_range("full") == "full"
    assert parse_grey_range("0..4095") == Range(0, 4095)
    assert parse_grey_range("-1024..3071.5") == Range(-1024, 3071.5)
    for text in ("", "4095", "0-4095", "4095..0", "5..5", "0..", "a..b", "0..4095..", "nan..1"):
        with pytest.raises(CrossRayError, match="--grey-range"):
            parse_grey_range(text)
