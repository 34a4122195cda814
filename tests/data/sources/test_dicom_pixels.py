"""Stored values of DICOM images: every depth, sign, byte order and encoding, by known ramps."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame

from crossray.data.rejection import Rejected
from crossray.data.sources.dicom import SHORT_SIDE
from crossray.data.sources.dicom_file import JPEG, JPEG_2000, JPEG_LS, NATIVE, read_image_object
from crossray.data.sources.dicom_picture import dicom_picture
from crossray.data.sources.dicom_pixels import stored_values
from support.dicom import compressed, film

ROWS, COLUMNS = 16, 256
LOSSY = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
RNG = np.random.default_rng(0)


def _ramp(depth: int) -> NDArray[np.uint16]:
    """All greys from left to right, as values of so many bits."""
    line = np.rint(np.arange(COLUMNS) / (COLUMNS - 1) * (2**depth - 1)).astype(np.uint16)
    return np.tile(line, (ROWS, 1))


def _saved(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _film(
    values_HW: NDArray[np.uint16],
    depth: int,
    syntax: uid.UID,
    *,
    cell: int = 16,
    low: int = 0,
    signed: bool = False,
    kind: str = "MONOCHROME2",
    others: int = 0,
    **tags: Any,
) -> bytes:
    """A file of values of `depth` bits, the lowest of which is bit `low` of a cell.

    `others` are the cell's further bits, which must be ignored; with `signed` the values begin at
    the least number of two's complement.
    """
    raw_HW = (values_HW.astype(np.int64) - (signed << (depth - 1))) & (2**depth - 1)
    cells_HW = (raw_HW << low) | (others & ~((2**depth - 1) << low) & (2**cell - 1))
    cells_HW = cells_HW.astype(f"u{cell // 8}")
    fields = {
        "BitsStored": depth, "HighBit": low + depth - 1, "PixelRepresentation": int(signed),
        "PhotometricInterpretation": kind, **tags,
    }  # fmt: skip
    dataset = film(cells_HW, **fields)
    if syntax.is_compressed:
        # JPEG has no precision of one bit.
        bits = cell if others or low else max(2, depth)
        return _saved(compressed(dataset, cells_HW, syntax, bits))
    dataset.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_little_endian:
        dataset.PixelData = cells_HW.byteswap().tobytes()
    return _saved(dataset)


def _greys(data: bytes) -> NDArray[np.int64]:
    return np.asarray(Image.open(BytesIO(dicom_picture(data, "", SHORT_SIDE)))).astype(np.int64)


def _cases(syntax: uid.UID) -> list[dict[str, Any]]:
    """Depth and cell of what the encoding can hold, without and with bits that are not stored."""
    if syntax == uid.JPEGBaseline8Bit:
        return [{"depth": 8, "cell": 8}]
    if syntax == uid.JPEGExtended12Bit:
        return [{"depth": 12}]
    cases = [{"depth": depth} for depth in (9, 10, 12, 13, 16)]
    cases += [{"depth": depth, "cell": 8} for depth in (1, 4, 7, 8)]
    cases += [{"depth": depth, "others": 0xFFFF} for depth in (8, 12, 15)]
    cases += [{"depth": 12, "others": 0x5000}, {"depth": 6, "cell": 8, "others": 0x40}]
    return [*cases, {"depth": 12, "low": 4}, {"depth": 10, "low": 3, "others": 0xFFFF}]


SYNTAXES = (*NATIVE, uid.RLELossless, *JPEG, *JPEG_LS, *JPEG_2000)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_matrix(syntax: uid.UID, kind: str) -> None:
    """An archive holds all of these; one that is misread is too bright, too dark or inverted."""
    for case in _cases(syntax):
        for signed in (False, True):
            if signed and case["depth"] == 1:
                continue
            ramp_HW = _ramp(case["depth"])
            white = 2 ** case["depth"] - 1
            center = (1 << case["depth"]) / 2 - 0.5 - (signed << (case["depth"] - 1))
            exact = {"VOILUTFunction": "LINEAR_EXACT", "WindowCenter": center, "WindowWidth": white}
            expected_HW = np.rint(255 * (ramp_HW / white)).astype(np.int64)
            if kind == "MONOCHROME1":
                expected_HW = 255 - expected_HW
            for tags in ({}, exact):
                data = _film(ramp_HW, **case, syntax=syntax, signed=signed, kind=kind, **tags)
                apart = np.abs(_greys(data) - expected_HW).max()
                assert apart <= 1, (case, signed, tags)
                if syntax not in LOSSY:
                    values_HW = stored_values(read_image_object(data, ""))
                    offset = signed << (case["depth"] - 1)
                    assert np.array_equal(values_HW, ramp_HW.astype(int) - offset), (case, signed)


@pytest.mark.parametrize("signed_stream", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_signs(signed: bool, signed_stream: bool) -> None:
    """Some archives write the sign into the codestream, others into the header alone."""
    values_HW = _ramp(12).astype(np.int32) - 2048 * signed
    stream_HW: NDArray[Any] = (values_HW & 0xFFF).astype(np.uint16)
    if signed_stream:
        stream_HW = ((values_HW & 0xFFF ^ 0x800) - 0x800).astype(np.int16)
    for bits in (12, 16):
        frame = imagecodecs.jpeg2k_encode(
            stream_HW, codecformat="j2k", reversible=True, bitspersample=bits
        )
        dataset = film(_ramp(12), PixelRepresentation=int(signed), PixelData=encapsulate([frame]))
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
        found = stored_values(read_image_object(_saved(dataset), ""))
        assert np.array_equal(found, values_HW)


@pytest.mark.parametrize("syntax", [*JPEG[2:], *JPEG_2000], ids=lambda syntax: syntax.name)
def test_frames_of_fewer_bits(syntax: uid.UID) -> None:
    """A header may promise 16 bits where the frame has 12; the sign is then the frame's highest."""
    values_HW = _ramp(12).astype(np.int16) - 2048
    dataset = film(values_HW)
    compressed(dataset, (values_HW & 0xFFF).astype(np.uint16), syntax)
    found = stored_values(read_image_object(_saved(dataset), ""))
    assert np.array_equal(found, values_HW)


@pytest.mark.parametrize("syntax", [*JPEG[2:], *JPEG_LS, *JPEG_2000], ids=lambda uid: uid.name)
def test_frame_in_fragments(syntax: uid.UID) -> None:
    """Some programs cut one frame into several fragments."""
    dataset = compressed(film(_ramp(12)), _ramp(12), syntax)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame], fragments_per_frame=3)
    found = stored_values(read_image_object(_saved(dataset), ""))
    assert np.array_equal(found, _ramp(12))


def test_bytes_in_big_endian_words() -> None:
    """Pixels of eight bits in big-endian words come with their pairs exchanged."""
    values_HW = _ramp(8).astype(np.uint8)
    dataset = film(values_HW, PixelData=values_HW.view(np.uint16).byteswap().tobytes())
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    found = stored_values(read_image_object(_saved(dataset), ""))
    assert np.array_equal(found, values_HW)


def test_jpeg_2000_in_a_file_format() -> None:
    """Some programs put a whole JP2 file where a bare codestream belongs."""
    frame = imagecodecs.jpeg2k_encode(
        _ramp(12), codecformat="jp2", reversible=True, bitspersample=12
    )
    dataset = film(_ramp(12), PixelData=encapsulate([frame]))
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = uid.JPEG2000
    found = stored_values(read_image_object(_saved(dataset), ""))
    assert np.array_equal(found, _ramp(12))


@pytest.mark.parametrize("vr", ["OB", "OW"])
@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
def test_one_bit(syntax: uid.UID, vr: str) -> None:
    """Pixels of one bit come eight in a byte, without a gap between rows."""
    values_HW = RNG.integers(0, 2, (9, 13), dtype=np.uint8)
    packed = np.packbits(values_HW.ravel(), bitorder="little")
    data = np.append(packed, np.zeros(len(packed) % 2, np.uint8))
    if vr == "OW" and not syntax.is_little_endian:
        data = data.reshape(-1, 2)[:, ::-1]
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        dataset = film(
            values_HW, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=data.tobytes(),
            PhotometricInterpretation=kind,
        )  # fmt: skip
        dataset["PixelData"].VR = vr
        dataset.file_meta.TransferSyntaxUID = syntax
        shown_HW = values_HW if kind == "MONOCHROME2" else 1 - values_HW
        assert np.array_equal(_greys(_saved(dataset)), 255 * shown_HW.astype(int))
    dataset.PixelData = data.tobytes()[:8]
    with pytest.raises(Rejected, match=r"broken image: 64 pixels where the header says 117"):
        dicom_picture(_saved(dataset), "", SHORT_SIDE)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"BitsStored": 1, "HighBit": 0, "PixelRepresentation": 1}, "signed pixels of one bit"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "MONOCHROME2 with 1 bits"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "MONOCHROME2 with 32 bits"),
        ({"BitsAllocated": 12}, "MONOCHROME2 with 12 bits"),
        ({"BitsStored": 17, "HighBit": 16}, "17 bits are stored up to bit 16 of the 16"),
        ({"BitsStored": 12, "HighBit": 10}, "12 bits are stored up to bit 10 of the 16"),
        ({"BitsStored": 0, "HighBit": 0}, "0 bits are stored"),
        ({"BitsStored": None}, "0 bits are stored"),
        ({"PixelRepresentation": None}, "the pixel data cannot be read"),
        ({"SamplesPerPixel": 3}, "broken image"),
    ],
)
def test_depths_that_are_not_read(tags: dict[str, Any], reason: str) -> None:
    """Pixels that are read as other ones than they are would be taken for a film."""
    dataset = film(_ramp(12), **tags)
    if dataset.get("BitsAllocated") == 1:
        compressed(dataset, _ramp(12), uid.JPEGLSLossless)
    with pytest.raises(Rejected, match=reason):
        dicom_picture(_saved(dataset), "", SHORT_SIDE)


@pytest.mark.parametrize("tag", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floating_point(tag: str) -> None:
    """Pixels in floating point must be refused by that name, not as a film without pixels."""
    depth = 32 if tag == "FloatPixelData" else 64
    dataset = film(_ramp(12), BitsAllocated=depth)
    del dataset.PixelData
    setattr(dataset, tag, _ramp(12).astype(f"f{depth // 8}").tobytes())
    with pytest.raises(Rejected, match="unsupported encoding: pixels in floating point"):
        dicom_picture(_saved(dataset), "", SHORT_SIDE)


@pytest.mark.parametrize("syntax", [*JPEG, *JPEG_LS, *JPEG_2000], ids=lambda syntax: syntax.name)
def test_frames_of_another_size(syntax: uid.UID) -> None:
    """A frame that is larger than its header says would be decoded into any amount of memory."""
    ramp_HW = _ramp(8).astype(np.uint8) if syntax == uid.JPEGBaseline8Bit else _ramp(12)
    dataset = compressed(film(ramp_HW), ramp_HW, syntax)
    dataset.Rows = ROWS // 2
    with pytest.raises(Rejected, match="broken image: a frame of"):
        dicom_picture(_saved(dataset), "", SHORT_SIDE)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    for length in (2, 3, 4, 20, 30, 41, len(frame) // 2):
        cut = film(ramp_HW, PixelData=encapsulate([frame[:length]]))
        cut["PixelData"].VR = "OB"
        cut.file_meta.TransferSyntaxUID = syntax
        with pytest.raises(Rejected, match="broken image"):
            dicom_picture(_saved(cut), "", SHORT_SIDE)


def test_colour_of_other_depths() -> None:
    """Colours of six bits, read as eight, would be almost black."""
    colours = RNG.integers(0, 64, (20, 30, 3), dtype=np.uint8)
    tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    dataset = film(colours, **tags, BitsStored=6, HighBit=5)
    with pytest.raises(Rejected, match="unsupported encoding: RGB with"):
        dicom_picture(_saved(dataset), "", SHORT_SIDE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_damage(syntax: uid.UID) -> None:
    """A damaged file is told as such; a traceback would end the ingest of a whole archive."""
    depth, cell = (8, 8) if syntax == uid.JPEGBaseline8Bit else (12, 16)
    whole = np.frombuffer(_film(_ramp(depth), depth, syntax, cell=cell), np.uint8)
    random = np.random.default_rng(1)
    told = 0
    for at in range(40):
        data = whole.copy()
        start = 132 if at % 2 else len(data) - min(2000, len(data) // 2)
        places = random.integers(start, len(data), 1 + at % 8)
        data[places] = random.integers(0, 256, len(places), dtype=np.uint8)
        try:
            dicom_picture(data[: len(data) - at % 5 * 100].tobytes(), "film.dcm", SHORT_SIDE)
        except Rejected:
            told += 1
    assert told >= 10
