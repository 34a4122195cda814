"""The process that decodes images of unknown origin: what a client sent is opened nowhere else.

A replica starts it and sends it one image after the other. Decoders of hostile bytes can take any
time and memory, or end their process; here they cost only the image that they read.
"""

from __future__ import annotations

import io
import os
import queue
import resource
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.data.images.grey_range import GreyRange
from crossray.data.rejection import Rejected
from crossray.data.sources.any_picture import any_picture, any_shape

READY, SEEN, REFUSED = b"r", b"s", b"x"
_NICENESS = 5  # so that texts are not kept waiting by images
_BYTES_A_PIXEL = 40  # of all copies that decoders and transforms hold at the same time
_BYTES_BESIDE = 256 << 20
_FORMATS = "JPEG, PNG, WebP, BMP, GIF, TIFF or DICOM"


@dataclass(frozen=True)
class Reading:
    """How images are read.

    Attributes:
        transform: from the stored image to what the model sees of it (`evaluation_transform`).
        pixels: of an image at most.
        short_side: to which DICOM images are reduced.
        grey_range: black and white of images of more than 8 bits.
    """

    transform: Callable[[bytes], Tensor]
    pixels: int
    short_side: int
    grey_range: GreyRange = "auto"

    def seen(self, image: bytes) -> Tensor:
        """What the model sees of an image, read as an ingest reads it: float32 [3, Y, X].

        Raises:
            CrossRayError: it has too many pixels, or cannot be read.
        """
        try:
            check_pixels(image, self.pixels)
            return self.transform(any_picture(image, self.short_side, self.grey_range))
        except Rejected as verdict:
            raise _unreadable(str(verdict)) from None
        except CrossRayError:
            raise
        except MemoryError:
            raise _unreadable("it takes too much memory") from None
        except Exception as error:  # decoders of hostile bytes raise almost anything
            raise _unreadable(type(error).__name__) from None


def check_pixels(image: bytes, limit: int) -> None:
    """Judge an image by its header, before anything of its size is allocated.

    Raises:
        CrossRayError: it has more than `limit` pixels.
        Rejected: it is a DICOM file that an ingest rejects.
    """
    try:
        rows, columns = any_shape(image)
        few = rows * columns <= limit
    except Image.DecompressionBombError:
        few = False
    except Rejected:
        raise
    except Exception:  # `any_picture` says what is wrong with it
        few = True
    if not few:
        raise CrossRayError(
            f"the image has more than the allowed {limit:,} pixels; scale it down first."
        )


def main() -> None:
    """Serve the connection whose file descriptor is the first argument, until it is closed."""
    os.nice(_NICENESS)
    torch.set_num_threads(1)
    connection = Connection(int(sys.argv[1]))
    reading: Reading = connection.recv()  # from the replica; nothing that a client sent
    reading.seen(_blank())  # imports all that is imported where it is used
    _limit_memory(reading.pixels * _BYTES_A_PIXEL + _BYTES_BESIDE)
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, arrived), daemon=True).start()
    connection.send_bytes(READY)
    while True:
        image = arrived.get()
        try:
            answer = SEEN + reading.seen(image).numpy().tobytes()
        except CrossRayError as error:
            answer = REFUSED + str(error).encode()
        connection.send_bytes(answer)


def _receive(connection: Connection, arrived: queue.SimpleQueue[bytes]) -> None:
    """A thread, so that the process ends with its replica even while it decodes."""
    try:
        while True:
            arrived.put(connection.recv_bytes())
    finally:
        os._exit(0)


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _blank() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def _unreadable(why: str) -> CrossRayError:
    return CrossRayError(
        f"the image cannot be read ({why.rstrip('.')}); send a complete {_FORMATS} file."
    )
