"""A DICOM file's bytes as the picture that an ingest of the file stores."""

from __future__ import annotations

import io

from PIL import Image
from pydicom.dataset import Dataset

from crossray.data.sources.dicom_file import damage, read_image_object
from crossray.data.sources.dicom_greys import greys
from crossray.data.sources.dicom_pixels import stored_values


def dicom_picture(data: bytes, name: str, short_side: int) -> bytes:
    """The image of a DICOM file as a greyscale PNG of 8 bits.

    Args:
        data: the whole file.
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
