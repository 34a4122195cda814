"""The values that the pixels of a DICOM image store, in every transfer syntax that is read."""

from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder

from crossray.data.images.file_kinds import FrameHeader, frame_header
from crossray.data.rejection import Rejected
from crossray.data.sources.dicom_file import GREY, JPEG, JPEG_2000, JPEG_LS, NATIVE, REMEDY, damage

# The decoder that pydicom takes. GDCM, which it would prefer where it is installed, ends the
# process on some damaged frames.
_BY_PYDICOM = {
    **dict.fromkeys(NATIVE, ""), uid.RLELossless: "pydicom", uid.JPEGBaseline8Bit: "pillow",
    uid.JPEG2000Lossless: "pillow", uid.JPEG2000: "pillow",
}  # fmt: skip
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"


def stored_values(dataset: Dataset) -> NDArray[Any]:
    """The pixels of `read_image_object`: stored values [H, W] of 16 bits, or RGB [H, W, 3] uint8.

    Stored values are the bits that the header calls stored, with a sign where it says so; what
    else the cells hold, such as overlays, is left out. Raises `Rejected` for damage and for
    encodings that are not read.
    """
    with damage("pixel data", quote=True):
        grey = dataset.PhotometricInterpretation in GREY
        pixels = _grey(dataset) if grey else _colour(dataset)
        size = (dataset.Rows, dataset.Columns)
        if pixels.shape[:2] != size or pixels.ndim != (2 if grey else 3):
            raise Rejected("broken image", f"pixels {pixels.shape} where the header says {size}")
        return pixels


def _colour(dataset: Dataset) -> NDArray[Any]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in _BY_PYDICOM:
        raise Rejected("unsupported encoding", f"colour in {syntax.name}; {REMEDY}")
    pixels: NDArray[Any]
    pixels, _ = get_decoder(syntax).as_array(
        dataset, index=0, raw=False, decoding_plugin=_BY_PYDICOM[syntax]
    )
    if pixels.dtype.itemsize > 1:
        raise Rejected("broken image", "colours are deeper than the header says")
    return pixels


def _grey(dataset: Dataset) -> NDArray[Any]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in (*JPEG, *JPEG_LS, *JPEG_2000):
        cells, depth = _decoded(dataset)
    else:
        depth = dataset.BitsAllocated
        cells = _packed_bits(dataset) if depth == 1 else _cells(dataset)
    # A frame of no more bits than are stored has dropped the others already.
    high = dataset.get("HighBit")
    unused = 0 if high is None or high >= depth else high + 1 - dataset.BitsStored
    room = 16 - min(dataset.BitsStored, depth)
    aligned_HW: NDArray[Any] = cells.astype(np.uint16) >> unused << room
    if dataset.PixelRepresentation:
        aligned_HW = aligned_HW.view(np.int16)
    stored_HW: NDArray[Any] = aligned_HW >> room
    return stored_HW


def _cells(dataset: Dataset) -> NDArray[Any]:
    """The cells [H, W] of 8 or 16 bits, with all that they hold."""
    syntax = dataset.file_meta.TransferSyntaxUID
    cells: NDArray[Any]
    cells, _ = get_decoder(syntax).as_array(
        dataset, index=0, raw=True, correct_unused_bits=False, decoding_plugin=_BY_PYDICOM[syntax]
    )
    return cells


def _packed_bits(dataset: Dataset) -> NDArray[np.uint8]:
    """Pixels [H, W] of one bit: the first is the lowest bit of the first word (PS3.5, 8.1.1)."""
    data = np.frombuffer(dataset.PixelData, np.uint8)
    big_endian = not dataset.file_meta.TransferSyntaxUID.is_little_endian
    if big_endian and dataset["PixelData"].VR == "OW":
        data = data.view(np.uint16).byteswap().view(np.uint8)
    size = dataset.Rows * dataset.Columns
    bits = np.unpackbits(data, bitorder="little")
    if bits.size < size:
        raise Rejected("broken image", f"{bits.size:,} pixels where the header says {size:,}")
    return bits[:size].reshape(dataset.Rows, dataset.Columns)


def _decoded(dataset: Dataset) -> tuple[NDArray[Any], int]:
    """The samples of a JPEG, JPEG-LS or JPEG 2000 frame, and how many bits they have."""
    syntax = dataset.file_meta.TransferSyntaxUID
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax in JPEG_2000:
        # Some wrap the codestream in a file format, whose account of the size is not read.
        frame = frame[max(0, frame.find(_START_OF_CODESTREAM)) :]
    header = _codestream_header(frame) if syntax in JPEG_2000 else _jpeg_header(frame)
    expected = (dataset.Rows, dataset.Columns, 1)
    if header[:3] != expected or header.precision > 16:  # before the decoder makes room for it
        raise Rejected("broken image", f"a frame of {header} where the header says {expected}")
    if syntax in JPEG_2000:
        return np.asarray(imagecodecs.jpeg2k_decode(frame)), header.precision
    if not frame.rstrip(b"\0").endswith(_END_OF_IMAGE):  # the decoder would fill it with grey
        raise Rejected("broken image", "the frame is cut short")
    decode = imagecodecs.jpegls_decode if syntax in JPEG_LS else imagecodecs.jpeg8_decode
    return np.asarray(decode(frame)), header.precision


def _jpeg_header(frame: bytes) -> FrameHeader:
    if (found := frame_header(frame)) is None:
        raise Rejected("broken image", "the frame has no header")
    return found[1]


def _codestream_header(frame: bytes) -> FrameHeader:
    """The header of a JPEG 2000 codestream (ITU-T T.800, A.5.1)."""
    if not frame.startswith(_START_OF_CODESTREAM) or len(frame) < 43:
        raise Rejected("broken image", "the frame has no header")
    right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
    samples = int.from_bytes(frame[40:42], "big")
    return FrameHeader(bottom - top, right - left, samples, (frame[42] & 0x7F) + 1)
