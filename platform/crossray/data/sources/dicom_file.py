"""DICOM files of unknown origin: which of them hold an image that can be taken.

Of a header only `TAGS` are read: a name, a birth date or an address cannot be passed on.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from crossray.data.image_file import check_size
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
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "FloatPixelData", "DoubleFloatPixelData", "PixelData",
]  # fmt: skip
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

_PREAMBLE = 128
# The file's group and the object's first, in either byte order.
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
REMEDY = "rewrite the file uncompressed, for instance with gdcmconv --raw"


def read_image_object(data: bytes, name: str) -> Dataset:
    """The tags `TAGS` of a DICOM file that holds one image, checked but not decoded.

    Files without the preamble are read where what they hold is plainly a DICOM object. Raises
    `Rejected`: `not DICOM` and `not an image` for other files in a folder of DICOM files, other
    reasons for images that cannot be taken. `name` is the file's.
    """
    if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        with damage("header"):
            dataset = _dataset(data, _PREAMBLE + 4)
    else:
        dataset = _without_preamble(data, name)
    with damage("header"):
        _check_class(str(dataset.get("SOPClassUID", "")))
        _check_image(dataset)
    return dataset


@contextmanager
def damage(part: str, quote: bool = False) -> Iterator[None]:
    """Turns what readers of hostile bytes raise into `Rejected`.

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


def _dataset(data: bytes, start: int) -> Dataset:
    """The tags of a file whose first element begins at `start`."""
    meta = read_dataset(
        BytesIO(data[start:]), is_implicit_VR=False, is_little_endian=True,
        stop_when=lambda tag, vr, length: tag.group > 2,
    )  # fmt: skip
    _check_class(str(meta.get("MediaStorageSOPClassUID", "")))
    # Before the rest is read: all of a deflated object is inflated, to any size.
    if start or meta:
        _check_syntax(str(meta.get("TransferSyntaxUID", "")))
    return pydicom.dcmread(BytesIO(data), specific_tags=TAGS, force=True)


def _without_preamble(data: bytes, name: str) -> Dataset:
    """The tags of a file that begins with its first element, as older programs write them."""
    try:
        if not data.startswith(_FIRST_GROUPS):
            raise ValueError("no group that DICOM objects begin with")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = _dataset(data, 0)
            known = (dataset.get("SOPClassUID"), dataset.get("Rows"), *dataset.file_meta)
            if not any(known):
                raise ValueError("nothing that DICOM objects have")
    except Rejected:
        raise
    except Exception:  # readers of hostile bytes raise almost anything
        reason: Reason = "broken image" if Path(name).suffix.lower() in SUFFIXES else "not DICOM"
        raise Rejected(reason, "the file does not begin as DICOM files do") from None
    if not dataset.file_meta.get("TransferSyntaxUID"):
        if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
            detail = f"compressed pixels without a transfer syntax; {REMEDY}"
            raise Rejected("unsupported encoding", detail)
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            uid.ImplicitVRLittleEndian if implicit
            else uid.ExplicitVRLittleEndian if little
            else uid.ExplicitVRBigEndian
        )  # fmt: skip
    return dataset


def _check_class(name: str) -> None:
    """Raise `Rejected` for a class of objects that are no images; private classes pass."""
    known = uid.UID(name).name
    if known != name and "Image Storage" not in known:
        raise Rejected("not an image", known)


def _check_syntax(name: str) -> None:
    if name not in (*NATIVE, uid.RLELossless, *JPEG, *JPEG_LS, *JPEG_2000):
        known = uid.UID(name).name or "no transfer syntax"
        raise Rejected("unsupported encoding", f"{known}; {REMEDY}")


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
    check_size(columns, rows)
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        detail = "Burned In Annotation is YES: the pixels may name the patient; clean them, set NO"
        raise Rejected("text in the image", detail)
    _check_depth(dataset)
    if not dataset.get("PixelData"):
        raise Rejected("broken image", "there is no pixel data")


def _check_depth(dataset: Dataset) -> None:
    """Raise `Rejected` for pixels of other kinds than greys of 1, 8 or 16 and RGB of 8 bits."""
    if dataset.get("FloatPixelData") or dataset.get("DoubleFloatPixelData"):
        detail = "pixels in floating point; export greyscale of 8 or 16 bits"
        raise Rejected("unsupported encoding", detail)
    kind, bits = dataset.get("PhotometricInterpretation"), dataset.get("BitsAllocated")
    stored = dataset.get("BitsStored") or 0
    packed = bits == 1 and dataset.file_meta.TransferSyntaxUID in NATIVE
    if not (
        (kind in GREY and (bits in (8, 16) or packed))
        or (kind in COLOUR and bits == 8 and stored == 8)
    ):
        detail = f"{kind} with {bits} bits; export greyscale of 8 or 16 or RGB of 8 bits"
        raise Rejected("unsupported encoding", detail)
    high = stored - 1 if (given := dataset.get("HighBit")) is None else given
    if not 0 <= stored - 1 <= high < bits:
        detail = f"{stored} bits are stored up to bit {high} of the {bits} that are allocated"
        raise Rejected("broken image", detail)
    if stored == 1 and dataset.PixelRepresentation:
        raise Rejected("unsupported encoding", f"signed pixels of one bit; {REMEDY}")
