"""An image file of any format that an ingest takes, as the picture that it stores."""

import io
import warnings

from PIL import Image

from crossray.data.images.encoded import stored_image
from crossray.data.images.grey_range import GreyRange
from crossray.data.rejection import Rejected
from crossray.data.sources.dicom import SHORT_SIDE


def any_picture(data: bytes, short_side: int = SHORT_SIDE, grey_range: GreyRange = "auto") -> bytes:
    """The bytes that an ingest of the file stores.

    `short_side` is that of `DicomSource` and holds for DICOM files only, `grey_range` for all
    others. Raises `Rejected` for what an ingest rejects.
    """
    from crossray.data.sources.dicom_picture import dicom_picture

    try:
        return dicom_picture(data, "", short_side)
    except Rejected as verdict:
        if verdict.reason != "not DICOM":
            raise
    return stored_image(data, grey_range)


def any_shape(data: bytes) -> tuple[int, int]:
    """Rows and columns by the file's header; raises `Rejected`, or what Pillow raises."""
    from crossray.data.sources.dicom_file import read_image_object

    try:
        dataset = read_image_object(data, "")
        return dataset.Rows, dataset.Columns
    except Rejected as verdict:
        if verdict.reason != "not DICOM":
            raise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            return image.height, image.width
