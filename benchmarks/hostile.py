"""What does the endpoint do to its other users while some send it the worst they can?

    python benchmarks/hostile.py --url http://127.0.0.1:8000 [--token TOKEN] [--stall 20]

Against a running endpoint on this machine, one after the other and while bystanders search by
text and for `/readyz` all the time: thin images, PNGs of 25 megapixels together with bodies that
stall, connections that are cut off, a body of 800,000 unknown keys, and damaged images of nine
formats. Prints what was answered and, last, one JSON object:

- `server_errors`: answers of 500 and above, other than a 503 that says when to come again;
- `bystanders_failed`: of their requests, those that were not answered with 200;
- `bystander_p99_ms`: of all their requests;
- `memory_mib`: proportional set size (PSS) of the endpoint's processes after the attacks, less that
  before; null for an endpoint whose processes are not found here.
"""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from multiprocessing.synchronize import Event
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import psutil
import tyro
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from rich.console import Console

from crossray.core.errors import CrossRayError
from crossray.serving.access_token import find_token

SEARCH = "/v1/search"
TEXTS = ("There is a large left pleural effusion.", "The heart is enlarged.", "No finding.")
# What Pillow writes; the last two are formats that no endpoint reads.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "DICOM", "JPEG2000", "PPM")
PATIENCE_S = 60.0
REST_S = 30.0
MIB = 2**20
Attack = Callable[["Attacker"], Awaitable[None]]


@dataclass(frozen=True)
class Benchmark:
    """Attack and measure.

    Attributes:
        url: of the endpoint.
        token: of the endpoint; by default CROSSRAY_TOKEN, or what `crossray serve` made here.
        stall: seconds for which bodies stall.
        mutated: damaged images.
        seed: of the damage.
        anywhere: attack an endpoint that is not on this machine.
    """

    url: str = "http://127.0.0.1:8000"
    token: str | None = None
    stall: float = 20.0
    mutated: int = 2000
    seed: int = 0
    anywhere: bool = False

    def run(self) -> None:
        """Attack and print."""
        if not self.anywhere and not is_loopback(urlsplit(self.url).hostname or ""):
            raise SystemExit(f"{self.url} is not on this machine; say --anywhere if you mean it.")
        token = self.token or find_token()
        if token is None:
            raise CrossRayError("no token is known; give --token.")
        attacker = Attacker(self.url, token, self.stall)
        asyncio.run(attacker.warm_up())
        before = memory(self.url)
        with Bystanders(self.url, token) as bystanders:
            for name, attack in self.attacks().items():
                began = time.monotonic()
                asyncio.run(attack(attacker))
                attacker.report(name, time.monotonic() - began)
        after = None if before is None else settled(self.url, before)
        p99 = float(np.percentile(bystanders.milliseconds, 99))
        figures = {
            "server_errors": attacker.errors,
            "bystanders_failed": bystanders.failed,
            "bystander_p99_ms": round(p99, 1),
            "memory_mib": None if before is None or after is None else round(after - before, 1),
            "bystanders": len(bystanders.milliseconds),
        }
        print(json.dumps(figures))

    def attacks(self) -> dict[str, Attack]:
        """What is done, by its name, in turn."""
        thin = [png(*size) for size in ((40_000, 1), (1, 40_000), (25_000_000, 1), (1, 25_000_000))]
        huge = [png(5000, 5000)] * 24
        broken = damaged(self.mutated, self.seed)

        async def bombs_and_stalls(attacker: Attacker) -> None:
            await asyncio.gather(attacker.stall(64), attacker.images(huge, at_once=24))

        return {
            "thin images": lambda attacker: attacker.images(thin * 10, at_once=8),
            "24 PNGs of 25 megapixels beside 64 stalled bodies": bombs_and_stalls,
            "300 connections that are cut off": lambda attacker: attacker.hang_up(300),
            "800,000 unknown keys": lambda attacker: attacker.keys(800_000),
            f"{self.mutated:,} damaged images": lambda attacker: attacker.images(broken, at_once=8),
        }


class Attacker:
    """A client of ill will; counts what it is answered."""

    def __init__(self, url: str, token: str, stall: float) -> None:
        self._url, self._stall = url, stall
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._headers = {"Authorization": f"Bearer {token}"}
        self._head = (
            f"POST {SEARCH} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        ).encode()
        self.answers: Counter[str] = Counter()
        self.errors = 0

    async def warm_up(self) -> None:
        """What loads lazily is no growth."""
        good = [encoded(form, np.random.default_rng(0)) for form in FORMATS[:7]]
        await self.images(good * 3, at_once=4)
        self.answers.clear()

    async def images(self, images: list[bytes], at_once: int) -> None:
        """Ask by each image."""
        await self._posts([{"files": {"image": ("x", image)}} for image in images], at_once)

    async def keys(self, number: int) -> None:
        """Ask with many unknown fields, three times."""
        body = json.dumps({f"k{key}": 0 for key in range(number)}).encode()
        kind = {"Content-Type": "application/json"}
        await self._posts([{"content": body, "headers": kind}] * 3, at_once=1)

    async def stall(self, connections: int) -> None:
        """Send the head of a request and the beginning of its body, then nothing for a time."""

        async def one() -> None:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(self._head + b'{"text": "')
                await writer.drain()
                async with asyncio.timeout(self._stall):
                    line = await reader.readline()
                self._count(int(line.split()[1]) if line else None, None)
            except TimeoutError:
                self.answers["none"] += 1
            except ConnectionError:
                self._count(None, None)
            finally:
                writer.close()

        await asyncio.gather(*(one() for _ in range(connections)))

    async def hang_up(self, connections: int) -> None:
        """Send half a request and reset the connection, or a whole one without reading on."""
        whole = json.dumps({"text": TEXTS[0]}).encode()
        head = self._head.replace(b"1000000", str(len(whole)).encode())
        for number in range(connections):
            with socket.create_connection((self._host, self._port), timeout=PATIENCE_S) as made:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                made.sendall(head + whole if number % 2 else self._head + whole)
            self.answers["cut off"] += 1
            await asyncio.sleep(0.01)

    async def _posts(self, bodies: list[dict[str, Any]], at_once: int) -> None:
        places = asyncio.Semaphore(at_once)

        async def one(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
            async with places:
                try:
                    answer = await client.post(SEARCH, **body)
                except httpx2.HTTPError:
                    return self._count(None, None)
                self._count(answer.status_code, answer.headers.get("retry-after"))

        async with httpx2.AsyncClient(
            base_url=self._url, headers=self._headers, timeout=PATIENCE_S
        ) as client:
            await asyncio.gather(*(one(client, body) for body in bodies))

    def _count(self, status: int | None, retry_after: str | None) -> None:
        self.answers["closed" if status is None else str(status)] += 1
        if status is not None and status >= 500 and not (status == 503 and retry_after):
            self.errors += 1

    def report(self, name: str, seconds: float) -> None:
        """Print what was answered since the last report."""
        told = ", ".join(f"{number} x {status}" for status, number in sorted(self.answers.items()))
        Console(soft_wrap=True).print(f"{name}: {told} in {seconds:.1f} s", highlight=False)
        self.answers.clear()


class Bystanders:
    """A separate process with two clients, who send again as soon as they have read an answer."""

    def __init__(self, url: str, token: str) -> None:
        self.milliseconds: list[float] = []
        self.failed = 0
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._found: Any = context.Queue()
        arguments = (url, token, self._stop, self._found)
        self._process = context.Process(target=stand_by, args=arguments, daemon=True)

    def __enter__(self) -> Bystanders:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.milliseconds, self.failed = self._found.get(timeout=2 * PATIENCE_S)
        self._process.join()


def stand_by(url: str, token: str, stop: Event, found: Any) -> None:
    """Search until stopped; gives milliseconds and the number of failures."""
    took: list[float] = []
    failures: list[str] = []

    def client(ask: Callable[[httpx2.Client, int], httpx2.Response]) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE_S) as connected:
            number = 0
            while not stop.is_set():
                began = time.perf_counter()
                try:
                    answer = ask(connected, number)
                    if answer.status_code != 200:
                        failures.append(f"{answer.status_code} {answer.text}")
                except httpx2.HTTPError as error:
                    failures.append(repr(error))
                took.append(1000 * (time.perf_counter() - began))
                number += 1
                time.sleep(0.05)

    asks: list[Callable[[httpx2.Client, int], httpx2.Response]] = [
        lambda connected, number: connected.post(SEARCH, json={"text": TEXTS[number % len(TEXTS)]}),
        lambda connected, number: connected.get("/readyz"),
    ]
    threads = [threading.Thread(target=client, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure, number in Counter(failures).most_common(5):
        print(f"bystanders: {number} x {failure[:200]}", flush=True)
    found.put((took, len(failures)))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def png(width: int, height: int) -> bytes:
    """A white PNG of 8-bit greys, a thousand times smaller than its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer, row = zlib.compressobj(9), b"\0" + b"\xff" * width
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def damaged(number: int, seed: int) -> list[bytes]:
    """Images of all formats with bytes changed, cut off, taken out or put in."""
    rng = np.random.default_rng(seed)
    return [mutated(encoded(FORMATS[n % len(FORMATS)], rng), rng) for n in range(number)]


def encoded(form: str, rng: np.random.Generator) -> bytes:
    """A small image of noise."""
    pixels = rng.integers(0, 256, rng.integers(8, 64, 2), np.uint8)
    buffer = io.BytesIO()
    if form == "DICOM":
        film(pixels).save_as(buffer, enforce_file_format=True)
    else:
        Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def film(pixels_YX: np.ndarray) -> Dataset:
    """A DICOM film."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = pixels_YX.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels_YX.tobytes() + b"\0" * (pixels_YX.size % 2)
    dataset["PixelData"].VR = "OB"
    return dataset


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one to eight damages."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        at = int(rng.integers(len(changed) + 1))
        kind, size = rng.integers(4), int(rng.integers(1, 9))
        if kind == 0:
            changed[at : at + size] = rng.bytes(size)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            del changed[at : at + size]
        else:
            changed[at:at] = rng.bytes(size)
    return bytes(changed)


def memory(url: str) -> float | None:
    """MiB of the processes behind a port of this machine; None where they are not found."""
    port = urlsplit(url).port
    listening = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.pid and found.status == psutil.CONN_LISTEN and found.laddr.port == port
    }
    return sum(map(_mib, _tree(listening))) or None


def settled(url: str, before: float) -> float:
    """The memory when it no longer falls, or has come back to what it was."""
    lowest, deadline = float("inf"), time.monotonic() + REST_S
    while time.monotonic() < deadline and lowest > before:
        lowest = min(lowest, memory(url) or float("inf"))
        time.sleep(1)
    return lowest


def _tree(listening: set[int]) -> set[psutil.Process]:
    """HAProxy, what started it, and all other workers of the same Ray node that are not idle."""
    tree: set[psutil.Process] = set()
    for pid in listening:
        parents = psutil.Process(pid).parents()
        raylet = next((parent for parent in parents if parent.name() == "raylet"), None)
        tree.add(psutil.Process(pid))
        for worker in raylet.children() if raylet else ():
            if worker.name().startswith("ray::") and "IDLE" not in worker.name():
                tree |= {worker, *worker.children(recursive=True)}
    return tree


def _mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / MIB
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    tyro.cli(Benchmark).run()
