"""From stored values to the greys of a display: DICOM PS3.3 C.11.1 (modality) and C.11.2 (VOI).

A film has at most 65,536 different values, so the steps are computed for each value once. Legend:
`V` the values between the smallest and the largest stored one, `N` the entries of a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.special import expit

from crossray.data.rejection import Rejected

Values = NDArray[np.float64]


def greys(stored_HW: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """The image [H, W] as it is to be shown, 0 black; MONOCHROME1 is inverted.

    The modality's table or rescale comes first, then the first VOI table, else the first window.
    Where the file has neither, the values present, without the padding value, are spread over all
    greys, as Johnson et al. did for MIMIC-CXR-JPG (arXiv:1901.07042). Raises `Rejected` for
    windows, slopes and tables that are no numbers or of no extent.
    """
    lowest = int(stored_HW.min())
    values_V = np.arange(lowest, int(stored_HW.max()) + 1, dtype=np.float64)
    units_V = modality_units(values_V, dataset)
    if not np.isfinite(units_V).all():
        raise Rejected("broken image", "the rescaled values are beyond all bounds")
    tables = dataset.get("VOILUTSequence")
    if tables and "LUTData" in tables[0]:
        entries_N, first = table_entries(tables[0], dataset)
        # The largest entry is white, whatever depth the table claims: some claim 16 bits for 12.
        levels_V = looked_up(units_V, entries_N, first) / max(1.0, entries_N.max())
    elif (center := _number(dataset, "WindowCenter")) is not None and (
        width := _number(dataset, "WindowWidth")
    ) is not None:
        function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
        levels_V = windowed(units_V, center, width, function)
    else:
        levels_V = _spread(stored_HW, lowest, units_V, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        levels_V = 1.0 - levels_V
    greys_V = np.rint(255 * levels_V.clip(0.0, 1.0)).astype(np.uint8)
    shown_HW: NDArray[np.uint8] = greys_V[stored_HW.astype(np.int32) - lowest]
    return shown_HW


def modality_units(values_V: Values, dataset: Dataset) -> Values:
    """The values in the modality's unit: by its table, else by slope and intercept."""
    if tables := dataset.get("ModalityLUTSequence"):
        entries_N, first = table_entries(tables[0], dataset)
        return looked_up(values_V, entries_N, first)
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    if slope == 0:
        raise Rejected("broken image", "the rescale slope is 0")
    return values_V * (1.0 if slope is None else slope) + (intercept or 0.0)


def table_entries(item: Dataset, dataset: Dataset) -> tuple[Values, int]:
    """The entries [N] of a lookup table and the value that the first entry stands for."""
    count, first, _ = (int(part) for part in item.LUTDescriptor)
    count = count or 65_536
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        packed = len(data) in (count, count + 1)  # entries of 8 bits, padded to an even length
        data = np.frombuffer(data, "u1" if packed else f"{order}u2")
    entries_N = np.asarray(data, dtype=np.float64).ravel()[:count]
    if entries_N.size < count or not entries_N.max(initial=0.0):
        detail = f"a lookup table claims {count:,} entries and has {entries_N.size:,}, or is zero"
        raise Rejected("broken image", detail)
    return entries_N, first


def looked_up(values_V: Values, entries_N: Values, first: int) -> Values:
    """The entries of the values; values beyond the table take its first or its last."""
    at_V = np.rint(values_V) - first
    return entries_N[at_V.clip(0, entries_N.size - 1).astype(np.int64)]


def windowed(values_V: Values, center: float, width: float, function: str) -> Values:
    """The values through a window, 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    `function` is LINEAR, LINEAR_EXACT or SIGMOID.
    """
    least = 1.0 if function == "LINEAR" else 0.0
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise Rejected("broken image", f"the window's function {function[:20]!r} is unknown")
    if not (width >= least and width > 0):
        raise Rejected("broken image", f"the window's width is {width}")
    if function == "SIGMOID":
        sigmoid_V: Values = expit(4.0 * (values_V - center) / width)
        return sigmoid_V
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    if width == 0:
        return (values_V > center).astype(np.float64)
    return ((values_V - center) / width + 0.5).clip(0.0, 1.0)


def _spread(stored_HW: NDArray[Any], lowest: int, units_V: Values, dataset: Dataset) -> Values:
    """The values between the smallest and the largest unit of a pixel that is not padding."""
    padding = dataset.get("PixelPaddingValue")
    present_V = np.bincount((stored_HW.astype(np.int32) - lowest).ravel()) > 0
    if isinstance(padding, int) and 0 <= padding - lowest < present_V.size and present_V.sum() > 1:
        present_V[padding - lowest] = False
    low, high = units_V[present_V].min(), units_V[present_V].max()
    spread_V: Values = (units_V - low) / max(high - low, np.finfo(np.float64).tiny)
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
