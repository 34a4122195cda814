"""Checks of encoded images from outside."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image

from crossray.data import image_file
from crossray.data.image_file import ImageFile
from crossray.data.images import encoded as images
from crossray.data.images.encoded import shown_shape, stored_image
from crossray.data.rejection import Rejected
from crossray.data.transforms import decode_image
from support.raster_files import png, tiff

Encode = Callable[..., bytes]


_VALUES = np.arange(30 * 40).reshape(30, 40, 1) * 50
DEEP = {
    "PNG of 16 bits": png(_VALUES, 16, 0, (b"sBIT", b"\x0c"), (b"tRNS", b"\0\7")),
    "TIFF of 16 bits": tiff(_VALUES.astype("u4"), 16, 0, ">", "deflate", tags=[(274, 3, [6])]),
    "TIFF of floats": tiff(_VALUES / 7e4, 32, 1, tags=[(340, 12, [0.0]), (341, 12, [1.0])]),
}


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
        stored_image(_png_header(side, side))
    assert caught.value.reason == "image too large"


def test_bytes_are_bounded(encode: Encode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A huge file would be read into every worker's memory."""
    data = encode("PNG")
    monkeypatch.setattr(images, "MAX_BYTES", len(data))
    assert stored_image(data) == data
    for module in (images, image_file):
        monkeypatch.setattr(module, "MAX_BYTES", len(data) - 1)
    (tmp_path / "a.png").write_bytes(data)
    for attempt in (lambda: stored_image(data), ImageFile(str(tmp_path), "a.png").read):
        with pytest.raises(Rejected) as caught:
            attempt()
        assert caught.value.reason == "image too large"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_cut_image_is_broken(form: str, encode: Encode) -> None:
    """A cut download would train as a picture with a grey lower half."""
    data = encode(form, size=(64, 64))
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(Rejected) as caught:
            stored_image(data[: int(len(data) * share)])
        assert caught.value.reason == "broken image"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *DEEP])
def test_damaged_bytes_never_escape(form: str, encode: Encode) -> None:
    """One odd file would end the ingest with a traceback instead of a rejected row."""
    rng = random.Random(5)
    data = DEEP[form] if form in DEEP else encode(form, size=(40, 30))
    reasons = set()
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            # Half of them in the header, where sizes and depths stand.
            end = len(damaged) if rng.random() < 0.5 else 250
            damaged[rng.randrange(end)] = rng.randrange(256)
        try:
            stored_image(bytes(damaged))
        except Rejected as error:
            reasons.add(error.reason)
    assert reasons <= {"broken image", "image too large", "unsupported encoding"}
    assert "broken image" in reasons


@pytest.mark.parametrize("data", [b"", b"\x00", b"no image at all", b"\xff\xd8\xff"])
def test_other_bytes_are_broken(data: bytes) -> None:
    """What is no image must be one rejected row, whatever it is."""
    with pytest.raises(Rejected) as caught:
        stored_image(data)
    assert caught.value.reason == "broken image"


def _encoded_by_pillow(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(buffer, form)
    return buffer.getvalue()


UNREAD = {
    "AVIF": lambda: _encoded_by_pillow("AVIF"),
    "HEIC": lambda: b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(200),
    "JPEG 2000": lambda: _encoded_by_pillow("JPEG2000"),
    "JPEG 2000 ": lambda: imagecodecs.jpeg2k_encode(np.zeros((8, 8), np.uint8), codecformat="j2k"),
    "JPEG XL": lambda: imagecodecs.jpegxl_encode(np.zeros((8, 8), np.uint8)),
    "JPEG XR": lambda: imagecodecs.jpegxr_encode(np.zeros((8, 8), np.uint8)),
    "JPEG-LS": lambda: imagecodecs.jpegls_encode(np.zeros((8, 8), np.uint8)),
    "a JPEG of 12 bits": lambda: imagecodecs.jpeg8_encode(np.zeros((8, 8), "u2"), bitspersample=12),
    "DICOM": lambda: bytes(128) + b"DICM" + bytes(100),
    "a video or another file of the MP4 family": lambda: (
        b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + bytes(200)
    ),
    "SVG": lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "PDF": lambda: b"%PDF-1.4",
    "PostScript": lambda: b"%!PS-Adobe EPSF",
    "a web page": lambda: b"\n<!DOCTYPE html><title>404 Not Found</title>",
    "a Git LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
    "a Photoshop document": lambda: b"8BPS\0\1" + bytes(30),
    "compressed by gzip": lambda: b"\x1f\x8b\x08" + bytes(30),
    "Netpbm": lambda: _encoded_by_pillow("PPM"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_other_formats_are_named(kind: str) -> None:
    """Told that his phone's pictures are broken, a user would look for the fault in his disk."""
    with pytest.raises(Rejected) as caught:
        stored_image(UNREAD[kind]())
    assert caught.value.reason == "unsupported encoding"
    assert f"the file is {kind.strip()}" in caught.value.detail
    assert any(word in caught.value.detail for word in ("convert", "crossray ingest", "git lfs"))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_jpeg_and_png_stay_as_they_came(form: str, encode: Encode) -> None:
    """Encoding again would lose quality and change the artifact's id with every library."""
    data = encode(form, size=(33, 21))
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
    assert Image.open(io.BytesIO(stored)).format == "PNG"
    before, after = (Image.open(io.BytesIO(part)).convert("RGB") for part in (data, stored))
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_stored_image_is_seen_as_the_file_is(form: str, orientation: int) -> None:
    """A stored picture that lies on its side is never found by a query that stands upright."""
    buffer = io.BytesIO()
    quarters = np.kron(np.array([[0, 90], [170, 250]], np.uint8), np.ones((8, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    Image.fromarray(quarters).convert("RGB").save(buffer, form, exif=exif, **options)
    data = buffer.getvalue()
    turns = [(0, 0), (0, 0), (0, 1), (2, 0), (2, 1), (1, 1), (3, 0), (3, 1), (1, 0)][orientation]
    upright = np.rot90(np.fliplr(quarters) if turns[1] else quarters, turns[0])
    stored = stored_image(data)
    assert shown_shape(stored) == upright.shape
    for seen in (decode_image(stored), decode_image(data)):
        assert seen.shape[1:] == upright.shape
        np.testing.assert_allclose(seen[0].numpy(), upright, atol=6 if form == "JPEG" else 0)
    again = Image.open(io.BytesIO(stored))
    if form != "JPEG":
        assert again.getexif().get(0x0112, 1) == 1  # and no reader needs to look for it
        assert stored_image(stored) == stored


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP", "late zTXt", "many tEXt", "damaged iCCP"])
def test_metadata_of_png_costs_no_picture(kind: str, encode: Encode) -> None:
    """A drawing program's megabytes of compressed notes are no fault of the picture."""
    data = encode("PNG", size=(9, 7))
    notes = zlib.compress(bytes(30 << 20))
    name = kind.split()[-1].encode()
    body = {
        b"zTXt": b"note\0\0" + notes,
        b"iTXt": b"note\0\1\0\0\0" + notes,
        b"iCCP": b"note\0\0" + (b"damage" if kind.startswith("damaged") else notes),
        b"tEXt": b"note\0" + bytes(900_000),
    }[name]
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    at = len(data) - 12 if kind.startswith("late") else 33
    loaded = data[:at] + chunk * (80 if kind.startswith("many") else 1) + data[at:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "MAX_BYTES", 128 << 20)
        stored = stored_image(loaded)
    assert torch.equal(decode_image(stored), decode_image(data))


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
        assert ("is a link" in caught.value.detail) == (name in ("link.jpg", "up/secret.jpg"))
        assert str(tmp_path) not in caught.value.detail or name == str(secret)
    with pytest.raises(Rejected, match="is a link"):
        ImageFile(str(inside), str(inside / "link.jpg")).read()


def test_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """Data sets that name one photo twice by a link are whole as they stand."""
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    (tmp_path / "again.jpg").symlink_to("photo.jpg")
    assert ImageFile(str(tmp_path), "again.jpg").read() == b"photo"


def test_missing_file(tmp_path: Path) -> None:
    """A wrong name must be reported as such, whatever it looks like."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    for name in ("", "no.jpg", "folder", "loop", "nul\0byte.jpg", "x" * 5000):
        with pytest.raises(Rejected) as caught:
            ImageFile(str(tmp_path), name).read()
        assert caught.value.reason == "missing image"
