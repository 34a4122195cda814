"""Small DICOM files in real transfer syntaxes, with the header of a chest film."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

PERSONAL = {
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19550820",
    "PatientAddress": "1 Elm Street",
    "StudyDate": "20110328",
    "InstitutionName": "St Elsewhere",
    "ReferringPhysicianName": "Roe^Richard",
    "OtherPatientIDs": "other-id",
}


def ramp(rows: int = 40, columns: int = 60, bits: int = 12) -> NDArray[np.uint16]:
    """Stored values [H, W] from 0 to the largest of so many bits, rising from left to right."""
    line = np.linspace(0, 2**bits - 1, columns).round().astype(np.uint16)
    return np.tile(line, (rows, 1))


def film(stored_HW: NDArray[Any], number: int = 1, **tags: Any) -> Dataset:
    """A film of stored values in 16 bits, uncompressed; `tags` are set last, None deletes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    signed = np.issubdtype(stored_HW.dtype, np.signedinteger)
    bits = 8 * stored_HW.dtype.itemsize
    fields = {
        "SOPClassUID": uid.DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": f"1.2.3.{number}",
        "StudyInstanceUID": f"1.2.3.4.{number}",
        "AccessionNumber": f"A{number}",
        "PatientID": f"patient-{number}",
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        **PERSONAL,
        "Rows": stored_HW.shape[0],
        "Columns": stored_HW.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": min(12, bits) if not signed else bits,
        "HighBit": min(12, bits) - 1 if not signed else bits - 1,
        "PixelRepresentation": int(signed),
        "PixelData": stored_HW.tobytes(),
    }
    for name, value in (fields | tags).items():
        if value is not None:
            setattr(dataset, name, value)
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    return dataset


def compressed(
    dataset: Dataset, stored_HW: NDArray[Any], syntax: uid.UID, bits: int = 12
) -> Dataset:
    """The film with its pixels encoded anew, in `bits` where the encoding has a precision."""
    if syntax == uid.RLELossless:
        # As cells of which all bits are stored: the encoder refuses others.
        depth = 8 * stored_HW.dtype.itemsize
        cells = film(stored_HW, BitsStored=depth, HighBit=depth - 1)
        cells.compress(syntax, generate_instance_uid=False)
        dataset.PixelData = cells.PixelData
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
        return dataset
    if syntax == uid.JPEGBaseline8Bit:
        buffer = BytesIO()
        Image.fromarray(stored_HW).save(buffer, "JPEG", quality=95)
        frame = buffer.getvalue()
    elif syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        frame = imagecodecs.jpeg8_encode(stored_HW, lossless=True, bitspersample=bits)
    elif syntax == uid.JPEGExtended12Bit:
        frame = imagecodecs.jpeg8_encode(stored_HW, level=95, bitspersample=bits)
    elif syntax in uid.JPEGLSTransferSyntaxes:
        frame = imagecodecs.jpegls_encode(stored_HW)
    else:
        frame = imagecodecs.jpeg2k_encode(
            stored_HW, codecformat="j2k", reversible=True, bitspersample=bits
        )
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def save(dataset: Dataset, path: Path) -> Path:
    """Write a Part 10 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
