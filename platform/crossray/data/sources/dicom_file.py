"""DICOM files of unknown origin: which objects are images, and the values that their pixels store.

Of a header nothing but `TAGS` is read: a name, a birth date or an address cannot be passed on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder

from crossray.data.images import MAX_PIXELS
from crossray.data.rejection import Reason, Rejected

# Its warnings quote the values that they complain of, and so would name patients in logs.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

MAX_BYTES = 256 << 20
SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "AccessionNumber",
    "Modality", "BodyPartExamined", "ViewPosition", "ViewCodeSequence", "Laterality",
    "ImageLaterality", "BurnedInAnnotation", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "RescaleIntercept",
    "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "PixelData",
]  # fmt: skip
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

_PREAMBLE = 128
# The decoder that pydicom takes. GDCM, which it would prefer where it is installed, ends the
# process on some damaged frames.
_BY_PYDICOM = {
    uid.ImplicitVRLittleEndian: "", uid.ExplicitVRLittleEndian: "", uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom", uid.JPEGBaseline8Bit: "pillow",
    uid.JPEG2000Lossless: "pillow", uid.JPEG2000: "pillow",
}  # fmt: skip
_JPEG = (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_REMEDY = "rewrite the file uncompressed, for instance with gdcmconv --raw"


def read_image_object(data: bytes, name: str) -> Dataset:
    """The tags `TAGS` of a DICOM file that holds one image, checked but not decoded.

    Raises `Rejected`: `not DICOM` and `not an image` for what else lies in a folder of DICOM
    files, other reasons for images that cannot be taken.
    """
    if data[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        if Path(name).suffix.lower() in SUFFIXES:
            raise Rejected("broken image", "the file does not begin as DICOM files do")
        raise Rejected("not DICOM", "the file does not begin as DICOM files do")
    with damage("header"):
        meta = read_dataset(
            BytesIO(data[_PREAMBLE + 4 :]), is_implicit_VR=False, is_little_endian=True,
            stop_when=lambda tag, vr, length: tag.group > 2,
        )  # fmt: skip
        _check_class(str(meta.get("MediaStorageSOPClassUID", "")))
        # Before the rest is read: a deflated object is inflated whole, to whatever size.
        _check_syntax(str(meta.get("TransferSyntaxUID", "")))
        dataset = pydicom.dcmread(BytesIO(data), specific_tags=TAGS)
        _check_class(str(dataset.get("SOPClassUID", "")))
        _check_image(dataset)
    return dataset


def stored_values(dataset: Dataset) -> NDArray[Any]:
    """The pixels of `read_image_object`: stored values [H, W], or for colour RGB [H, W, 3] uint8.

    Raises `Rejected` for damage and for encodings that are not read.
    """
    with damage("pixel data", quote=True):
        syntax = dataset.file_meta.TransferSyntaxUID
        pixels: NDArray[Any]
        if syntax in _BY_PYDICOM:
            pixels, _ = get_decoder(syntax).as_array(
                dataset, index=0, raw=False, decoding_plugin=_BY_PYDICOM[syntax]
            )
        else:
            pixels = _decoded(dataset)
        size = (dataset.Rows, dataset.Columns)
        if pixels.shape[:2] != size or pixels.dtype.itemsize > 2:
            raise Rejected("broken image", f"pixels {pixels.shape} where the header says {size}")
        return pixels


@contextmanager
def damage(part: str, quote: bool = False) -> Iterator[None]:
    """Turns whatever readers of hostile bytes raise into `Rejected`.

    `quote` gives their message on; messages about headers may quote the patient's data.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Rejected:
        raise
    except Exception as error:  # readers of hostile bytes raise almost anything
        message = f": {' '.join(str(error).split())[:150]}" if quote and str(error) else ""
        detail = f"the {part} cannot be read ({type(error).__name__}{message})"
        raise Rejected("broken image", detail) from None


def _check_class(name: str) -> None:
    """Raise `Rejected` for a class of objects that are no images; private classes pass."""
    known = uid.UID(name).name
    if known != name and "Image Storage" not in known:
        raise Rejected("not an image", known)


def _check_syntax(name: str) -> None:
    if name not in (*_BY_PYDICOM, *_JPEG, *_JPEG_LS):
        known = uid.UID(name).name or "no transfer syntax"
        raise Rejected("unsupported encoding", f"{known}; {_REMEDY}")


def _check_image(dataset: Dataset) -> None:
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not (rows and columns):
        meta = dataset.file_meta.get("MediaStorageSOPClassUID", "")
        name = str(dataset.get("SOPClassUID") or meta)
        private = bool(name) and uid.UID(name).is_private  # else a film that was cut short
        reason: Reason = "not an image" if private else "broken image"
        raise Rejected(reason, "there are no rows and columns")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise Rejected("several frames", f"{frames:,} frames; export those you want one a file")
    if rows * columns > MAX_PIXELS:
        raise Rejected("image too large", f"{columns:,} x {rows:,}, the limit is {MAX_PIXELS:,}")
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        detail = "Burned In Annotation is YES: the pixels may name the patient; clean them, set NO"
        raise Rejected("text in the image", detail)
    kind, bits = dataset.get("PhotometricInterpretation"), dataset.get("BitsAllocated")
    if not (kind in GREY and bits in (8, 16)) and not (kind in COLOUR and bits == 8):
        detail = f"{kind} with {bits} bits; export greyscale of 8 or 16 or RGB of 8 bits"
        raise Rejected("unsupported encoding", detail)
    if not dataset.get("PixelData"):
        raise Rejected("broken image", "there is no pixel data")


def _decoded(dataset: Dataset) -> NDArray[Any]:
    """The stored values of a JPEG or JPEG-LS frame that pydicom cannot decode by itself."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if dataset.PhotometricInterpretation not in GREY:
        raise Rejected("unsupported encoding", f"colour in {syntax.name}; {_REMEDY}")
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    size = _frame_size(frame)
    if size != (dataset.Rows, dataset.Columns):  # before the decoder makes room for it
        raise Rejected("broken image", f"a frame of {size} where the header says otherwise")
    decode = imagecodecs.jpegls_decode if syntax in _JPEG_LS else imagecodecs.jpeg8_decode
    pixels = np.asarray(decode(frame))
    if dataset.PixelRepresentation == 0:
        return pixels
    sign = 1 << (dataset.BitsStored - 1)
    signed: NDArray[Any] = (pixels.astype(np.int32) & (2 * sign - 1) ^ sign) - sign
    return signed.astype(np.int16)


def _frame_size(frame: bytes) -> tuple[int, int]:
    """Rows and columns in the header of a JPEG or JPEG-LS frame (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _START_OF_FRAME:
            rows, columns = (int.from_bytes(frame[at + k : at + k + 2], "big") for k in (5, 7))
            return rows, columns
        padding = frame[at + 1] == 0xFF
        at += 1 if padding else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    raise Rejected("broken image", "the frame has no header")
