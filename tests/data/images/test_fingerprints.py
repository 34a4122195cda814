"""Fingerprints of images: what they must not notice, and what they must."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossray.core.errors import CrossRayError
from crossray.data.images.fingerprints import BITS, NEAR_BITS, fingerprint, nearest_fingerprints
from crossray.data.phantom import PhantomConfig, generate


def _encode(image: Image.Image, form: str = "PNG", quality: int = 75) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, quality=quality)
    return buffer.getvalue()


def _copy(data: bytes, scale: float) -> bytes:
    """The image at another size, as a coarse JPEG."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    size = (round(image.width * scale), round(image.height * scale))
    return _encode(image.resize(size), "JPEG", quality=60)


def _distances(images: list[bytes], others: list[bytes]) -> np.ndarray:
    a_NB, b_MB = (
        np.unpackbits(np.stack([fingerprint(data) for data in batch]), axis=1)
        for batch in (images, others)
    )
    return (a_NB[:, None] != b_MB).sum(axis=2)


def _check(images: list[bytes]) -> None:
    for scale in (0.9, 1.1):
        distance = _distances(images, [_copy(data, scale) for data in images])
        assert (np.diag(distance) <= NEAR_BITS).all()
        assert (distance[~np.eye(len(images), dtype=bool)] > NEAR_BITS).all()


def test_copies_of_radiographs_are_near_and_other_patients_are_not() -> None:
    """Re-encoded test images would go unseen, or every frontal film would count as a copy."""
    rows = generate(PhantomConfig(items=36, seed=5), 0, 36)
    by_patient = {row["group_id"]: row["image"] for row in rows}
    _check(list(by_patient.values()))


@pytest.mark.real_data
@pytest.mark.skipif("CROSSRAY_TEST_DATA" not in os.environ, reason="CROSSRAY_TEST_DATA is not set")
@pytest.mark.parametrize(("name", "step"), [("flickr8k", 100), ("covid_cxr", 4)])
def test_copies_of_real_images_are_near_and_other_images_are_not(name: str, step: int) -> None:
    """The threshold would hold for drawn images alone."""
    files = sorted((Path(os.environ["CROSSRAY_TEST_DATA"]) / name / "images").glob("*.jpg"))[::step]
    _check([file.read_bytes() for file in files])


def test_brightness_contrast_and_colour_model_do_not_matter() -> None:
    """A copy that a viewer exported with another window would go unseen."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)
    image = Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC)
    softer = image.point(lambda value: 40 + value * 0.6)
    distance = _distances([_encode(image)], [_encode(softer), _encode(image.convert("RGB"))])
    assert (distance <= NEAR_BITS).all()


@given(grey=st.integers(0, 255), width=st.integers(1, 50), height=st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_an_image_of_one_grey_has_no_fingerprint(grey: int, width: int, height: int) -> None:
    """All blank images would be copies of each other."""
    assert fingerprint(_encode(Image.new("L", (width, height), grey))) is None


def test_bytes_that_are_no_image_are_refused() -> None:
    """A damaged artifact would look free of leaks."""
    with pytest.raises(CrossRayError, match="cannot be decoded"):
        fingerprint(b"no image")


@given(seed=st.integers(0, 2**32 - 1), queries=st.integers(1, 9), items=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_the_nearest_is_that_of_a_comparison_of_all(seed: int, queries: int, items: int) -> None:
    """A near copy would hide behind a farther one."""
    rng = np.random.default_rng(seed)
    prints_NB = rng.integers(0, 256, (items, BITS // 8), dtype=np.uint8)
    prints_QB = prints_NB[rng.integers(items, size=queries)] ^ rng.integers(
        0, 4, (queries, BITS // 8), dtype=np.uint8
    )
    bits, row = nearest_fingerprints(prints_QB, prints_NB)
    apart = np.unpackbits(prints_QB[:, None] ^ prints_NB, axis=2).sum(axis=2)
    np.testing.assert_array_equal(bits, apart.min(axis=1))
    np.testing.assert_array_equal(apart[np.arange(queries), row], bits)
