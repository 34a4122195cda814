"""Greys of DICOM images, beside what pydicom computes."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from crossray.data.rejection import Rejected
from crossray.data.sources.dicom_file import read_image_object
from crossray.data.sources.dicom_picture import greys
from support.dicom import film, ramp

RNG = np.random.default_rng()


def _table(entries: NDArray[Any], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [entries.size % 65_536, first, bits]
    item.LUTData = [int(entry) for entry in entries]
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def _rising(count: int, bits: int) -> NDArray[np.int64]:
    """The entries of a table that ends with the largest value of so many bits."""
    entries = np.sort(RNG.integers(0, 2**bits, count))
    entries[-1] = 2**bits - 1
    return entries


def _by_pydicom(stored_HW: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """The same by pydicom: the ends of the window's output are those far below and far above it."""
    units_HW = apply_modality_lut(stored_HW, dataset)
    if dataset.get("VOILUTSequence"):
        bits = dataset.VOILUTSequence[0].LUTDescriptor[2]
        levels_HW = apply_voi_lut(units_HW, dataset) / (2**bits - 1)
    else:
        low, high = apply_voi_lut(np.array([-1e9, 1e9]), dataset)
        levels_HW = (apply_voi_lut(units_HW, dataset) - low) / (high - low)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels_HW = 1 - levels_HW
    return np.rint(255 * levels_HW).astype(np.uint8)


WINDOWS: list[dict[str, Any]] = [
    {"WindowCenter": 2048, "WindowWidth": 4096},
    {"WindowCenter": [1500.5, 9], "WindowWidth": [700.25, 9], "VOILUTFunction": "LINEAR"},
    {"WindowCenter": 1500, "WindowWidth": 1},
    {"WindowCenter": 1500, "WindowWidth": 700, "VOILUTFunction": "LINEAR_EXACT"},
    {"WindowCenter": 1500, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"},
    {"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 900, "WindowWidth": 8000, "RescaleSlope": 2.5, "RescaleIntercept": -1024},
    {"WindowCenter": -900, "WindowWidth": 800, "RescaleSlope": -1, "RescaleIntercept": 0},
]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("tags", WINDOWS)
def test_windows(tags: dict[str, Any], kind: str) -> None:
    """A window read otherwise than by every viewer shows a film that no radiologist saw."""
    stored_HW = RNG.integers(0, 4096, (30, 50), dtype=np.uint16)
    dataset = film(stored_HW, PhotometricInterpretation=kind, **tags)
    found = greys(stored_HW, dataset)
    difference = np.abs(found.astype(int) - _by_pydicom(stored_HW, dataset))
    assert difference.max() <= 1  # ties of rounding


def test_signed_values() -> None:
    """Hounsfield units below zero must stay dark, not wrap to white."""
    stored_HW = RNG.integers(-1024, 3000, (30, 50), dtype=np.int16)
    dataset = film(stored_HW, WindowCenter=40, WindowWidth=400)
    difference = greys(stored_HW, dataset).astype(int) - _by_pydicom(stored_HW, dataset)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_tables(kind: str) -> None:
    """Half of the films of some makers have their greys in a table; the window is then no use."""
    stored_HW = RNG.integers(0, 4096, (30, 50), dtype=np.uint16)
    voi = _table(_rising(1745, 16), 1401, 16)
    tags = {"VOILUTSequence": [voi], "WindowCenter": 9, "WindowWidth": 9}
    dataset = film(stored_HW, PhotometricInterpretation=kind, **tags)
    assert np.array_equal(greys(stored_HW, dataset), _by_pydicom(stored_HW, dataset))
    modality = _table(RNG.integers(0, 4096, 4096), 0, 16)
    dataset = film(stored_HW, ModalityLUTSequence=[modality], VOILUTSequence=[voi])
    assert np.array_equal(greys(stored_HW, dataset), _by_pydicom(stored_HW, dataset))


def test_table_of_bytes() -> None:
    """A table of more than 256 entries of 8 bits must not start anew at every 256th value."""
    stored_HW = ramp()
    entries = np.arange(4096, dtype=np.uint16) // 16
    numbers, words, octets = (_table(entries, 0, 8) for _ in range(3))
    words.add_new("LUTData", "OW", entries.tobytes())
    octets.add_new("LUTData", "OW", entries.astype(np.uint8).tobytes())
    for table in (numbers, words, octets):
        dataset = film(stored_HW, VOILUTSequence=[table])
        assert np.array_equal(greys(stored_HW, dataset), stored_HW // 16)


def test_table_that_claims_more_bits() -> None:
    """A table of 12-bit entries that claims 16 would give a black film."""
    stored_HW = ramp()
    dataset = film(stored_HW, VOILUTSequence=[_table(np.arange(4096), 0, 16)])
    assert greys(stored_HW, dataset).max() == 255


def test_table_that_ends_below_white() -> None:
    """A table whose last entry is grey must not make the film brighter than a viewer shows it."""
    stored_HW = ramp()
    dataset = film(stored_HW, VOILUTSequence=[_table(np.arange(4096) * 3 // 4, 0, 12)])
    assert np.array_equal(greys(stored_HW, dataset), _by_pydicom(stored_HW, dataset))
    assert greys(stored_HW, dataset).max() == 191


def _reread(dataset: Dataset) -> Dataset:
    """The dataset as a reader of its file has it, whatever its tags were given as."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return read_image_object(buffer.getvalue(), "")


@pytest.mark.parametrize("vr", ["US", "SS", "OW", "bytes"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("tag", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
)
def test_table_types(syntax: uid.UID, tag: str, signed: bool, vr: str) -> None:
    """A first value of -30000 read as 35536 shows every pixel as the table's first entry: black.

    Nor may 40000 be read as -25536. The entries themselves have no sign in either type.
    """
    first = -30_000 if signed else 40_000
    line = first + np.linspace(0, 255, 60).round().astype(np.int64)
    stored_HW = np.tile(line, (40, 1)).astype(np.int16 if signed else np.uint16)
    order = "<" if syntax.is_little_endian else ">"
    bits = 8 if vr == "bytes" else 16
    entries = np.arange(256) * (2**bits - 1) // 255
    item, numbers = Dataset(), "US" if vr == "OW" or vr == "bytes" else vr
    reader = np.int16 if numbers == "SS" else np.uint16
    item.add_new("LUTDescriptor", numbers, [256, int(np.array(first).astype(reader)), bits])
    if vr == "bytes":  # two in a word, the first in its low half
        words = entries.astype(np.uint8).view("<u2").astype(f"{order}u2")
        item.add_new("LUTData", "OW", words.tobytes())
    elif vr == "OW":
        item.add_new("LUTData", "OW", entries.astype(f"{order}u2").tobytes())
    else:
        item.add_new("LUTData", vr, entries.astype(np.uint16).astype(reader).tolist())
    tags = {"BitsStored": 16, "HighBit": 15, tag: [item]}
    dataset = film(stored_HW, **tags)
    dataset.file_meta.TransferSyntaxUID = syntax
    expected_HW = np.tile(line - first, (40, 1))
    assert np.abs(greys(stored_HW, _reread(dataset)).astype(int) - expected_HW).max() <= 1


def test_table_after_rescaling() -> None:
    """Hounsfield units are below zero even where the stored values have no sign."""
    stored_HW = ramp()
    table = _table(np.arange(4096), 65_536 - 1024, 12)
    dataset = film(stored_HW, RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[table])
    assert np.array_equal(greys(stored_HW, dataset), np.rint(stored_HW / 4095 * 255))


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_table_of_all_values() -> None:
    """A table of 65,536 entries says that it has 0, for the number has 16 bits."""
    stored_HW = ramp(bits=16)
    tags = {"BitsStored": 16, "HighBit": 15}
    dataset = film(stored_HW, VOILUTSequence=[_table(np.arange(65_536), 0, 16)], **tags)
    assert np.array_equal(greys(stored_HW, dataset), np.rint(stored_HW / 65_535 * 255))
    table = _table(np.arange(40_000), 0, 16)
    table["LUTDescriptor"].VR, table.LUTDescriptor = "SS", [40_000 - 65_536, 0, 16]
    dataset = film(stored_HW, VOILUTSequence=[table], **tags)
    assert greys(stored_HW, dataset)[0, 30] == round(stored_HW[0, 30] / 65_535 * 255)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 1200, "WindowWidth": 400}])
@pytest.mark.parametrize("ends", [(300, 500), (500, 300), (300, None), (-300, -100), (-300, None)])
def test_padding(ends: tuple[int, int | None], window: dict[str, Any], kind: str) -> None:
    """Padding is no part of the film: counted in the spread it takes the film's contrast.

    Its range has two ends in either order. It is black where the film is inverted, too.
    """
    signed = min(end for end in ends if end is not None) < 0
    film_HW = ramp(bits=9).astype(np.int16 if signed else np.uint16) + 1000
    plain_HW = greys(film_HW, film(film_HW, PhotometricInterpretation=kind, **window))
    padded_HW = film_HW.copy()
    padded_HW[:, :5] = ends[0]
    if ends[1] is not None:
        padded_HW[:, 5], padded_HW[:, 6] = ends[1], sum(ends) // 2  # type: ignore[arg-type]
    padding = {"PixelPaddingValue": ends[0], "PixelPaddingRangeLimit": ends[1]}
    found_HW = greys(
        padded_HW, film(padded_HW, PhotometricInterpretation=kind, **window, **padding)
    )
    width = 5 if ends[1] is None else 7
    assert not found_HW[:, :width].any()
    film_HW[:, :width] = film_HW[:, width : width + 1]
    rest_HW = greys(film_HW, film(film_HW, PhotometricInterpretation=kind, **window))
    assert np.array_equal(found_HW[:, width:], rest_HW[:, width:])
    assert window == {} or np.array_equal(found_HW[:, width:], plain_HW[:, width:])


@pytest.mark.parametrize(
    ("number", "vr", "bits", "signed", "value"),
    [
        (63_536, "US", 16, True, -2000),
        (-2000, "SS", 16, True, -2000),
        (-1, "SS", 16, False, 65_535),
        (65_535, "US", 16, False, 65_535),
        (2096, "US", 12, True, -2000),
        (63_536, "US", 12, True, -2000),
        (-2000, "SS", 12, True, -2000),
        (0, "US", 12, True, 0),
        (4095, "US", 12, False, 4095),
    ],
)
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_type_of_padding(
    syntax: uid.UID, number: int, vr: str, bits: int, signed: bool, value: int
) -> None:
    """Files give padding without a sign on pixels that have one; missed, it takes the contrast."""
    dtype = np.int16 if signed else np.uint16
    stored_HW = np.tile(np.arange(100, 160), (40, 1)).astype(dtype)
    tags = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}
    plain_HW = greys(stored_HW, film(stored_HW, **tags))
    stored_HW[:7] = value
    dataset = film(stored_HW, **tags)
    dataset.add_new("PixelPaddingValue", vr, number)
    found_HW = greys(stored_HW, _reread(_as(dataset, syntax)))
    assert np.array_equal(found_HW[7:], plain_HW[7:])
    assert not found_HW[:7].any()


def _as(dataset: Dataset, syntax: uid.UID) -> Dataset:
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize(("number", "signed"), [(63_536, False), (-32_768, True), (32_768, True)])
def test_padding_that_no_pixel_has(number: int, signed: bool) -> None:
    """A padding value beyond the stored bits is no pixel's; cut to them it would blacken some."""
    stored_HW = ramp().astype(np.int16) - 2048 if signed else ramp()
    tags = {"BitsStored": 12, "HighBit": 11}
    dataset = film(stored_HW, **tags)
    dataset.add_new("PixelPaddingValue", "SS" if number < 0 else "US", number)
    assert np.array_equal(greys(stored_HW, dataset), np.rint(ramp() / 4095 * 255))


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 9000, "WindowWidth": 100},
        {"WindowCenter": -9000, "WindowWidth": 100},
        {"VOILUTSequence": [_table(np.arange(1, 100), 9000, 16)]},
        {"ModalityLUTSequence": [_table(np.arange(1, 100), 9000, 16)]},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095},
        {"RescaleSlope": 1e-9, "WindowCenter": 0, "WindowWidth": 100},
    ],
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_film_of_one_grey(tags: dict[str, Any], kind: str) -> None:
    """A film that its header makes black or white must be told, not stored as an empty picture."""
    stored_HW = ramp()
    with pytest.raises(Rejected, match=r"the header shows [\d,]+ values as one grey"):
        greys(stored_HW, film(stored_HW, PhotometricInterpretation=kind, **tags))


def test_without_window() -> None:
    """A film without a window must not come out black because of its padding or its depth."""
    stored_HW = ramp(bits=9) + 1000
    plain = greys(stored_HW, film(stored_HW))
    assert (plain.min(), plain.max()) == (0, 255)
    stored_HW = stored_HW.astype(np.int16)
    padded_HW = stored_HW.copy()
    padded_HW[0] = -2000
    tags = {"PixelPaddingValue": -2000, "RescaleSlope": 1, "RescaleIntercept": -1024}
    assert np.array_equal(greys(padded_HW, film(padded_HW, **tags))[1:], plain[1:])
    inverted = film(padded_HW, PhotometricInterpretation="MONOCHROME1", **tags)
    assert np.array_equal(greys(padded_HW, inverted)[1:], 255 - plain[1:])


def test_blank_image() -> None:
    """A film of one value has no contrast to spread."""
    stored_HW = np.full((9, 9), 7, dtype=np.uint16)
    assert not greys(stored_HW, film(stored_HW, PixelPaddingValue=7)).any()


@pytest.mark.filterwarnings("ignore:Invalid value", "ignore:overflow")
@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": "nan", "WindowWidth": 400},
        {"WindowCenter": 40, "WindowWidth": "NaN"},
        {"WindowCenter": 40, "WindowWidth": "inf"},
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40, "WindowWidth": -400},
        {"WindowCenter": 40, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "CUBIC"},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"RescaleSlope": "nan", "RescaleIntercept": 0},
        {"RescaleSlope": 1e308, "RescaleIntercept": 0},
        {"VOILUTSequence": [_table(np.zeros(10, int), 0, 16)]},
    ],
)
def test_windows_that_are_none(tags: dict[str, Any]) -> None:
    """A broken window must cost its film, not fill the set with black images."""
    stored_HW = ramp()
    with pytest.raises(Rejected, match="broken image"):
        greys(stored_HW, film(stored_HW, **tags))


def test_short_table() -> None:
    """A table with fewer entries than it claims is damaged."""
    item = _table(np.arange(50), 0, 16)
    item.LUTDescriptor = [100, 0, 16]
    with pytest.raises(Rejected, match="claims 100 entries and has 50"):
        greys(ramp(), film(ramp(), VOILUTSequence=[item]))


@pytest.mark.parametrize("name", ["WindowCenter", "WindowWidth"])
def test_half_a_window(name: str) -> None:
    """Half a window is none; empty tags are common."""
    stored_HW = ramp()
    assert np.array_equal(
        greys(stored_HW, film(stored_HW, **{name: 40})), greys(stored_HW, film(stored_HW))
    )
    empty = film(stored_HW, WindowCenter=None, WindowWidth="")
    assert np.array_equal(greys(stored_HW, empty), greys(stored_HW, film(stored_HW)))
