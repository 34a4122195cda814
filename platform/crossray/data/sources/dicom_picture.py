"""A DICOM file's bytes as the picture that an ingest of the file stores.

From stored values to the greys of a display: DICOM PS3.3 C.11.1 (modality) and C.11.2 (VOI). A film
has at most 65,536 different values, so the steps are computed for each value once. Legend: `V` the
values between the smallest and the largest stored one, `N` the entries of a table.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from scipy.special import expit

from crossray.data.rejection import Rejected
from crossray.data.sources.dicom_file import damage, read_image_object
from crossray.data.sources.dicom_pixels import stored_values

Pixels = NDArray[np.float64]


def dicom_picture(data: bytes, name: str, short_side: int) -> bytes:
    """The image of a DICOM file as a greyscale PNG of 8 bits.

    Args:
        data: the complete file.
        name: the file's name; a file with a name of DICOM's that is none counts as broken.
        short_side: the shorter side in pixels at most; larger images are reduced.

    Raises `Rejected` where the file is no DICOM, holds no image, or one that cannot be taken.
    """
    return encoded_picture(read_image_object(data, name), short_side)


def encoded_picture(dataset: Dataset, short_side: int) -> bytes:
    """The same of what `read_image_object` has read."""
    stored = stored_values(dataset)
    with damage("window or a lookup table"):
        if stored.ndim == 3:
            image = Image.fromarray(stored).convert("L")
        else:
            image = Image.fromarray(greys(stored, dataset))
        if (side := min(image.size)) > short_side:
            width, height = (max(1, round(length * short_side / side)) for length in image.size)
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        return buffer.getvalue()


def greys(stored_HW: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """The image [H, W] as it is to be shown, 0 black; MONOCHROME1 is inverted.

    The modality's table or rescale comes first, then the first VOI table, else the first window.
    Where the file has neither, the values present are spread over all greys, as Johnson et al. did
    for MIMIC-CXR-JPG (arXiv:1901.07042). Padding (C.7.5.1.1.2) is no part of the film: it does not
    count in the spread and is shown black, in MONOCHROME1 too. Raises `Rejected` for windows,
    slopes and tables that are no numbers or of no extent, and where all greys become equal
    although the values differ.
    """
    lowest = int(stored_HW.min())
    at_HW = stored_HW.astype(np.int32) - lowest
    present_V = np.bincount(at_HW.ravel()) > 0
    values_V = np.arange(lowest, lowest + present_V.size, dtype=np.float64)
    padding_V = _padding(values_V, dataset)
    film_V = present_V & ~padding_V
    units_V = modality_units(values_V, dataset)
    if not np.isfinite(units_V).all():
        raise Rejected("broken image", "the rescaled values are beyond all bounds")
    tables = dataset.get("VOILUTSequence")
    if tables and "LUTData" in tables[0]:
        entries_N, first = table_entries(tables[0], dataset, signed=_least_unit(dataset) < 0)
        # White is what the bits of the entries hold: some tables claim 16 bits and have 12.
        white = (1 << int(entries_N.max()).bit_length()) - 1
        levels_V = looked_up(units_V, entries_N, first) / white
    elif (center := _number(dataset, "WindowCenter")) is not None and (
        width := _number(dataset, "WindowWidth")
    ) is not None:
        function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
        levels_V = windowed(units_V, center, width, function)
    else:
        levels_V = _spread(units_V, film_V)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels_V = 1.0 - levels_V
    greys_V = np.rint(255 * levels_V.clip(0.0, 1.0)).astype(np.uint8)
    greys_V[padding_V] = 0
    for values, count in ((film_V, film_V.sum()), (present_V, present_V.sum())):
        if count > 1 and np.ptp(greys_V[values]) == 0:
            raise Rejected("broken image", f"the header shows {count:,} values as one grey")
    shown_HW: NDArray[np.uint8] = greys_V[at_HW]
    return shown_HW


def modality_units(values_V: Pixels, dataset: Dataset) -> Pixels:
    """The values in the modality's unit: by its table, else by slope and intercept."""
    if tables := dataset.get("ModalityLUTSequence"):
        entries_N, first = table_entries(tables[0], dataset, bool(dataset.PixelRepresentation))
        return looked_up(values_V, entries_N, first)
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    if slope == 0:
        raise Rejected("broken image", "the rescale slope is 0")
    return values_V * (1.0 if slope is None else slope) + (intercept or 0.0)


def table_entries(item: Dataset, dataset: Dataset, signed: bool) -> tuple[Pixels, int]:
    """The entries [N] of a lookup table and the value that the first entry maps.

    Files disagree on the type of these numbers, and readers guess it. Entries and their number
    have no sign; the first value has one where the values that are looked up may (`signed`).
    """
    count, first, depth = (int(part) for part in item.LUTDescriptor)
    count = count & 0xFFFF or 1 << 16
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        words_N = np.frombuffer(data + b"\0" * (len(data) % 2), f"{order}u2")
    else:
        words_N = np.atleast_1d(data).astype(np.int64).astype(np.uint16)
    if depth <= 8 and words_N.size == (count + 1) // 2 < count:  # two entries in a word
        words_N = words_N.astype("<u2").view(np.uint8)
    entries_N = words_N.astype(np.float64)[:count]
    if entries_N.size < count or not entries_N.max(initial=0.0):
        detail = f"a lookup table claims {count:,} entries and has {entries_N.size:,}, or is zero"
        raise Rejected("broken image", detail)
    return entries_N, with_sign(first, 16, signed)


def with_sign(number: int, bits: int, signed: bool) -> int:
    """The same `bits` of a number read with a sign, or without one."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if signed and number >> (bits - 1) else number


def looked_up(values_V: Pixels, entries_N: Pixels, first: int) -> Pixels:
    """The entries of the values; values beyond the table take its first or its last."""
    at_V = np.rint(values_V) - first
    return entries_N[at_V.clip(0, entries_N.size - 1).astype(np.int64)]


def windowed(values_V: Pixels, center: float, width: float, function: str) -> Pixels:
    """The values through a window, 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    `function` is LINEAR, LINEAR_EXACT or SIGMOID.
    """
    least = 1.0 if function == "LINEAR" else 0.0
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise Rejected("broken image", f"the window's function {function[:20]!r} is unknown")
    if not (width >= least and width > 0):
        raise Rejected("broken image", f"the window's width is {width}")
    if function == "SIGMOID":
        sigmoid_V: Pixels = expit(4.0 * (values_V - center) / width)
        return sigmoid_V
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return (values_V > center).astype(np.float64)
    return ((values_V - center) / width + 0.5).clip(0.0, 1.0)


def _least_unit(dataset: Dataset) -> float:
    """The smallest unit that any pixel of the file's depth could have."""
    half, signed = 1 << (dataset.BitsStored - 1), bool(dataset.PixelRepresentation)
    ends = np.array([-half, half - 1] if signed else [0, 2 * half - 1], dtype=np.float64)
    return float(modality_units(ends, dataset).min())


def _padding(values_V: Pixels, dataset: Dataset) -> NDArray[np.bool_]:
    """Which of the values are padding: one, or all between two, whichever of them is larger."""
    tags = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ends = [_as_pixel(end, dataset) for tag in tags if isinstance(end := dataset.get(tag), int)]
    if not isinstance(dataset.get(tags[0]), int):
        return np.zeros(values_V.shape, dtype=bool)
    return (values_V >= min(ends)) & (values_V <= max(ends))


def _as_pixel(number: int, dataset: Dataset) -> int:
    """A number of 16 bits as a pixel with the same bits; some give it no sign, or too few bits."""
    if not dataset.PixelRepresentation:
        return with_sign(number, 16, False)
    number, bits = with_sign(number, 16, True), dataset.BitsStored
    return with_sign(number, bits, True) if 0 <= number < 1 << bits else number


def _spread(units_V: Pixels, film_V: NDArray[np.bool_]) -> Pixels:
    """The values between the smallest and the largest unit of the film's pixels."""
    if not film_V.any():
        return np.zeros_like(units_V)
    low, high = units_V[film_V].min(), units_V[film_V].max()
    spread_V: Pixels = (units_V - low) / max(high - low, np.finfo(np.float64).tiny)
    return spread_V


def _number(dataset: Dataset, name: str) -> float | None:
    """The first value of a tag; None where it is missing or empty. Raises `Rejected` for NaN."""
    value = dataset.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    number = float(value)
    if not math.isfinite(number):
        raise Rejected("broken image", f"{name} is {number}")
    return number
