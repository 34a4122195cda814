"""Greys of DICOM images, beside what pydicom computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from crossray.data.rejection import Rejected
from crossray.data.sources.dicom_greys import greys
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
