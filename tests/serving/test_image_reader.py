"""Images of queries are read as an ingest reads them, in processes whose death costs one query."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from pydicom import uid

from crossray.core.errors import CrossRayError
from crossray.data.images.encoded import stored_image
from crossray.data.images.grey_range import Range
from crossray.data.sources.dicom import DicomReader
from crossray.data.transforms import evaluation_transform
from crossray.serving.image_process import Reading
from crossray.serving.image_reader import ImageReader
from support.dicom import compressed, film, ramp, save
from support.images import encoded_image, png

TRANSFORM = evaluation_transform(32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.2))
SHORT_SIDE = 36
GOOD = encoded_image(1)


def ask(reader: ImageReader, *images: bytes) -> list[torch.Tensor | BaseException]:
    """What comes back for images that are sent at the same time."""

    async def gather() -> list[torch.Tensor | BaseException]:
        return await asyncio.gather(*map(reader, images), return_exceptions=True)

    return asyncio.run(gather())


def started(make: Callable[[], ImageReader]) -> tuple[ImageReader, psutil.Process]:
    """A reader and its process."""
    before = set(psutil.Process().children())
    reader = make()
    (process,) = set(psutil.Process().children()) - before
    return reader, process


@pytest.fixture(scope="module")
def reader() -> ImageReader:
    """One process for all the tests that need no other."""
    return ImageReader(Reading(TRANSFORM, 1_000_000, SHORT_SIDE), 1, 20.0)


def turned_jpeg() -> bytes:
    """A JPEG that is to be shown upright and is stored lying."""
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    Image.open(BytesIO(encoded_image(2, side=48))).crop((0, 0, 48, 30)).save(
        buffer, "JPEG", exif=exif
    )
    return buffer.getvalue()


def deep_tiff() -> bytes:
    """A ramp of 16 bits."""
    buffer = BytesIO()
    Image.fromarray(ramp(bits=16)).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize("make", [turned_jpeg, deep_tiff, partial(encoded_image, 3, "WEBP")])
def test_a_query_is_read_as_its_item_was(reader: ImageReader, make: Callable[[], bytes]) -> None:
    """The original of a stored item would be another image to the model than the item is."""
    data = make()
    (seen,) = ask(reader, data)
    assert isinstance(seen, torch.Tensor)
    assert torch.equal(seen, TRANSFORM(stored_image(data)))


def test_a_query_is_read_by_the_grey_range_of_its_item() -> None:
    """The original of an image that was ingested with --grey-range would look darker than it."""
    reading = Reading(TRANSFORM, 10**6, SHORT_SIDE, Range(1000, 30_000))
    seen = reading.seen(deep_tiff())
    assert torch.equal(seen, TRANSFORM(stored_image(deep_tiff(), Range(1000, 30_000))))
    assert not torch.equal(seen, TRANSFORM(stored_image(deep_tiff())))


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEGLosslessSV1])
def test_a_film_is_read_as_its_item_was(
    reader: ImageReader, tmp_path: Path, syntax: uid.UID
) -> None:
    """A DICOM film would be refused as a query, or shown otherwise than its item."""
    stored_HW = ramp()
    tags = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 900, "WindowWidth": 1500}
    dataset = film(stored_HW, **tags)
    if syntax != uid.ExplicitVRLittleEndian:
        dataset = compressed(dataset, stored_HW, syntax)
    path = save(dataset, tmp_path / "film.dcm")
    row = DicomReader(str(tmp_path), SHORT_SIDE, None, split_folders=False).row(path.name)
    (seen,) = ask(reader, path.read_bytes())
    assert isinstance(seen, torch.Tensor)
    assert torch.equal(seen, TRANSFORM(row["image"]))


def test_what_cannot_be_read_is_refused_alone(reader: ImageReader, tmp_path: Path) -> None:
    """A broken or huge image would take the images beside it along, or the whole process."""
    large_film = save(film(np.zeros((1001, 1000), np.uint16)), tmp_path / "film.dcm")
    bad = [b"", b"no image", GOOD[:-200], png(5000, 5000), large_film.read_bytes()]
    answers = ask(reader, *(image for broken in bad for image in (broken, GOOD)))
    for refusal, good in zip(answers[::2], answers[1::2], strict=True):
        assert isinstance(refusal, CrossRayError)
        assert isinstance(good, torch.Tensor)
    assert all("cannot be read" in str(refusal) for refusal in answers[:6:2])
    assert all("1,000,000 pixels" in str(refusal) for refusal in answers[6::2])


def test_a_killed_process_costs_no_other_image() -> None:
    """After a crash in a decoder no image would be read, or all that waited would fail."""
    reader, process = started(lambda: ImageReader(Reading(TRANSFORM, 10**6, SHORT_SIDE), 1, 60.0))
    process.kill()
    for seen in ask(reader, GOOD, encoded_image(4), GOOD):
        assert isinstance(seen, torch.Tensor)


def test_an_image_that_takes_too_long_is_given_up() -> None:
    """One image would hold up all others for ever."""
    reading = Reading(TRANSFORM, 10**6, SHORT_SIDE)
    reader, process = started(lambda: ImageReader(reading, 1, 5.0))
    ask(reader, GOOD)
    process.suspend()
    slow, good = ask(reader, GOOD, GOOD)
    assert "more than the allowed 5 s" in str(slow)
    assert isinstance(good, torch.Tensor)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_an_image_that_takes_too_much_memory_is_refused() -> None:
    """One image would take the memory of the machine, and the endpoint with it."""
    greedy = Reading(partial(operator.mul, 10**7), 10**6, SHORT_SIDE)  # GBs of any image
    reader, process = started(lambda: ImageReader(greedy, 1, 60.0))
    for refusal in ask(reader, GOOD, GOOD):
        assert "too much memory" in str(refusal)
    assert process.is_running()


def test_processes_end_with_their_replica() -> None:
    """Each replica that is killed would leave a process of some hundred MB behind."""
    script = (
        "from crossray.serving.image_process import Reading\n"
        "from crossray.serving.image_reader import ImageReader\n"
        "reader = ImageReader(Reading(len, 1, 1), 1, 1.0)\n"
        "print(reader._idle.get()._process.pid, flush=True)\n"
        "input()\n"
    )
    replica = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert replica.stdout is not None
    process = psutil.Process(int(replica.stdout.readline()))
    os.kill(replica.pid, signal.SIGKILL)
    replica.wait()
    deadline = time.monotonic() + 60
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.1)
