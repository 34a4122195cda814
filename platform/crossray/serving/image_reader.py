"""Processes that read the images of queries, started by the replica that needs them."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from queue import SimpleQueue

import numpy as np
import torch
from torch import Tensor

from crossray.core.errors import CrossRayError
from crossray.serving.image_process import READY, SEEN, Reading

_START_SECONDS = 120.0  # to import torch while the machine does other work
_TRIES = 2
# glibc would keep what a large image took, up to some 64 MiB of it.
_MEMORY_IS_GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "1048576"}
_PROGRAM = "from crossray.serving.image_process import main; main()"


class ImageReader:
    """A pool of processes (`image_process`), each with one image at a time.

    One that dies, or that is killed because an image takes too long, is replaced; it takes no other
    image with it. They end with this process.

    `seconds`: that one image may take.
    """

    def __init__(self, reading: Reading, processes: int, seconds: float) -> None:
        self._reading, self._seconds = reading, seconds
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        for _ in range(processes):
            self._idle.put(_Process(reading))
        self._pool = ThreadPoolExecutor(processes, thread_name_prefix="images")

    async def __call__(self, image: bytes) -> Tensor:
        """What the model sees of an image, float32 [3, Y, X]; images are read as they come.

        Raises:
            CrossRayError: it cannot be read, or not within its limits.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, image)

    def _read(self, image: bytes) -> Tensor:
        process = self._idle.get()
        try:
            # A process that was killed from outside is no fault of the image.
            for _ in range(_TRIES):
                try:
                    return process.read(image, self._seconds)
                except _Died:
                    process = self._replaced(process)
            raise CrossRayError(
                "the image cannot be read: its decoder crashed; save it anew and send that."
            )
        except _TookTooLong:
            process = self._replaced(process)
            raise CrossRayError(
                f"reading the image took more than the allowed {self._seconds:g} s; scale it down "
                "or save it in another format first."
            ) from None
        finally:
            self._idle.put(process)

    def _replaced(self, process: "_Process") -> "_Process":
        process.end()
        return _Process(self._reading)


class _Process:
    """One process and the connection to it."""

    def __init__(self, reading: Reading) -> None:
        self._connection, other = Pipe()
        # No `multiprocessing`: it would import the main module of the replica again, which is
        # Ray's, and a fork would copy the threads' locks of torch and Ray.
        self._process = subprocess.Popen(  # noqa: S603 (a fixed command)
            [sys.executable, "-c", _PROGRAM, str(other.fileno())],
            pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the replica's to handle
            env={
                **os.environ,
                **_MEMORY_IS_GIVEN_BACK,
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )
        other.close()
        self._connection.send(reading)
        self._ready = False

    def read(self, image: bytes, seconds: float) -> Tensor:
        """What the model sees of an image.

        Raises:
            CrossRayError: in the words of the process.
            _TookTooLong: it took longer than `seconds`.
            _Died: the process died.
        """
        try:
            if not self._ready and not self._connection.poll(_START_SECONDS):
                raise _Died
            self._ready = self._ready or self._connection.recv_bytes() == READY
            self._connection.send_bytes(image)
            if not self._connection.poll(seconds):
                raise _TookTooLong
            answer = self._connection.recv_bytes()
        except (EOFError, OSError):
            raise _Died from None
        if answer[:1] != SEEN:
            raise CrossRayError(answer[1:].decode())
        pixels = np.frombuffer(answer, np.float32, offset=1)
        side = int((len(pixels) // 3) ** 0.5)
        return torch.from_numpy(pixels.reshape(3, side, side).copy())

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        self._connection.close()


class _Died(Exception):  # noqa: N818
    """A process ended before it answered."""


class _TookTooLong(Exception):  # noqa: N818
    """A process did not answer in time."""
