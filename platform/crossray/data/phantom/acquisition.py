"""From attenuation to a film: Beer-Lambert's law, quantum noise, film curve, marker, encoding."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from crossray.data.phantom.canvas import SIZE, Field
from crossray.data.phantom.study import Acquisition

_MIDDLE = 2.1  # attenuation that gives middle grey
_ELECTRONIC = 0.0012  # noise of the detector, relative to the unattenuated beam
_JPEG_QUALITY = 90


def expose(attenuation: Field, acquisition: Acquisition) -> Field:
    """Grey values in [0, 1], bright where little passes.

    The beam that passes is ``exp(-attenuation)`` with Poisson-like noise (variance proportional
    to intensity) and Gaussian noise of the detector; the film curve is a logistic function of
    the logarithm of what was measured.
    """
    rng = np.random.default_rng(acquisition.seed)
    passed = np.exp(-attenuation)
    sigma = acquisition.noise * np.sqrt(passed) + _ELECTRONIC
    passed += sigma * rng.standard_normal((SIZE, SIZE), dtype=np.float32)
    measured = -np.log(np.maximum(passed, np.float32(1e-3)))
    slope, middle = np.float32(acquisition.contrast), np.float32(_MIDDLE + acquisition.exposure)
    grey: Field = 1 / (1 + np.exp(slope * (middle - measured)))
    return grey


def develop(grey: Field, acquisition: Acquisition) -> NDArray[np.uint8]:
    """Eight bits a pixel, with the side marker burnt in on the side that it names."""
    pixels = (np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8)
    letter = _letter(acquisition.side_marker)
    height, width = letter.shape
    x = SIZE - 10 - width if acquisition.side_marker == "L" else 10
    y = 8 + int(acquisition.marker_height * 30)
    place = pixels[y : y + height, x : x + width]
    np.maximum(place, letter, out=place)
    return pixels


@lru_cache(maxsize=2)
def _letter(text: str) -> NDArray[np.uint8]:
    font = ImageFont.load_default(size=16)
    image = Image.new("L", (16, 20))
    ImageDraw.Draw(image).text((2, 0), text, fill=245, font=font)
    return np.array(image)


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """JPEG bytes, the same on every call."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def encode_mask(mask_YX: NDArray[np.bool_]) -> bytes:
    """PNG bytes of a mask, white where it is true."""
    buffer = io.BytesIO()
    Image.fromarray(mask_YX).save(buffer, "PNG")
    return buffer.getvalue()
