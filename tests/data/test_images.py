"""Checks of encoded images from outside."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossray.data import images
from crossray.data.images import ImageFile, check_image, stored_image
from crossray.data.rejection import Rejected

Encode = Callable[..., bytes]


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_001, 11_000, 30_000])
def test_bomb_is_refused_from_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a kilobyte would take gigabytes and kill the ingest of everything else."""

    def never(*_: object) -> None:
        raise AssertionError("the raster was decoded")

    monkeypatch.setattr(Image.Image, "load", never)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)
    with pytest.raises(Rejected) as caught:
        check_image(_png_header(side, side))
    assert caught.value.reason == "image too large"


def test_bytes_are_bounded(encode: Encode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A huge file would be read into every worker's memory."""
    data = encode("PNG")
    monkeypatch.setattr(images, "MAX_BYTES", len(data))
    assert check_image(data)[0] == "PNG"
    monkeypatch.setattr(images, "MAX_BYTES", len(data) - 1)
    (tmp_path / "a.png").write_bytes(data)
    for attempt in (lambda: check_image(data), ImageFile(str(tmp_path), "a.png").read):
        with pytest.raises(Rejected) as caught:
            attempt()
        assert caught.value.reason == "image too large"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_cut_image_is_broken(form: str, encode: Encode) -> None:
    """A cut download would train as a picture with a grey lower half."""
    data = encode(form, size=(64, 64))
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(Rejected) as caught:
            check_image(data[: int(len(data) * share)])
        assert caught.value.reason == "broken image"


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_damaged_bytes_never_escape(form: str, encode: Encode) -> None:
    """One odd file would end the ingest with a traceback instead of a rejected row."""
    rng = random.Random(5)
    data = encode(form, size=(40, 30))
    reasons = set()
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            check_image(bytes(damaged))
        except Rejected as error:
            reasons.add(error.reason)
    assert reasons <= {"broken image", "image too large"}
    assert "broken image" in reasons


@pytest.mark.parametrize("data", [b"", b"\x00", b"<svg/>", b"%PDF-1.4", b"%!PS-Adobe EPSF"])
def test_other_files_are_broken(data: bytes) -> None:
    """A drawing program's file must not reach a decoder that runs programs."""
    with pytest.raises(Rejected) as caught:
        check_image(data)
    assert caught.value.reason == "broken image"


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_jpeg_and_png_stay_as_they_came(form: str, encode: Encode) -> None:
    """Encoding again would lose quality and change the artifact's id with every library."""
    data = encode(form, size=(33, 21))
    assert check_image(data) == (form, 33, 21)
    assert stored_image(data) == data


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("GIF", "P"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "L"),
        ("WEBP", "RGB"),
        ("TIFF", "CMYK"),
    ],
)
def test_other_formats_become_equal_png(form: str, mode: str, encode: Encode) -> None:
    """Pixels that change on the way in are pixels the user never had."""
    data = encode(form, mode=mode)
    stored = stored_image(data)
    assert check_image(stored)[0] == "PNG"
    before, after = (Image.open(io.BytesIO(part)).convert("RGB") for part in (data, stored))
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_float_pixels_are_refused(encode: Encode) -> None:
    """Clipping an unknown range to 8 bits would hand over a black picture."""
    with pytest.raises(Rejected, match="32-bit"):
        stored_image(encode("TIFF", mode="F"))


def test_file_is_read(tmp_path: Path) -> None:
    """Images in subfolders are normal and must be found."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "x.jpg").write_bytes(b"photo")
    assert ImageFile(str(tmp_path), "a b/x.jpg").read() == b"photo"
    assert ImageFile(str(tmp_path), "a b/../a b/x.jpg").read() == b"photo"


def test_file_outside_is_refused(tmp_path: Path) -> None:
    """A hostile table could pull private files of the server into an artifact."""
    inside = tmp_path / "images"
    inside.mkdir()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"private")
    (inside / "link.jpg").symlink_to(secret)
    (inside / "up").symlink_to(tmp_path)
    for name in ("../secret.jpg", str(secret), "link.jpg", "up/secret.jpg", "../images2/x.jpg"):
        with pytest.raises(Rejected) as caught:
            ImageFile(str(inside), name).read()
        assert caught.value.reason == "image outside the folder"
        assert str(tmp_path) not in caught.value.detail or name == str(secret)


def test_missing_file(tmp_path: Path) -> None:
    """A wrong name must be reported as such, whatever it looks like."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    for name in ("", "no.jpg", "folder", "loop", "nul\0byte.jpg", "x" * 5000):
        with pytest.raises(Rejected) as caught:
            ImageFile(str(tmp_path), name).read()
        assert caught.value.reason == "missing image"
