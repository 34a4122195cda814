"""A server program on this machine, started and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from crossray.core.errors import CrossRayError

HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


def check_port(name: str, port: int, option: str) -> None:
    """Raises `CrossRayError` where somebody else listens on a port; `option` sets another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise CrossRayError(
                f"port {port}, on which {name} would listen, is taken; end what listens there, or "
                f"give another port with {option}."
            ) from None


@dataclass(frozen=True)
class Server:
    """A program that runs until it is ended."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it gives no reason"

    def wait(self, address: str) -> None:
        """Return when the address answers.

        Raises:
            CrossRayError: the program ends by itself or does not answer.
        """
        deadline = time.monotonic() + _START_SECONDS
        while self.alive and time.monotonic() < deadline:
            try:
                if httpx2.get(address, timeout=2).is_success:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.2)
        raise CrossRayError(f"{self.name} did not start: {self.last_words()}.")


@contextmanager
def running(
    name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a program for as long as the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 (a fixed command)
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for this process, which then ends it
        )
    try:
        yield Server(name, process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
