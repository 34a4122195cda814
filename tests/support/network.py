"""Machines of a network that is only in this machine: network namespaces on one bridge.

Nothing of it is reached from outside, and nothing outside from it. It needs root,
iproute2 and util-linux.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PREFIX = "10.213.0."


def can_build() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare"))):
        return False
    name = f"cr{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode == 0:
        _ip("netns", "del", name)
    return made.returncode == 0


class Network:
    """A bridge in a namespace of its own, `hub`, and the machines on it by name."""

    def __init__(self) -> None:
        self._stem = f"cr{os.getpid()}"
        self.hub = f"{self._stem}-hub"
        self._machines: dict[str, int] = {}
        _ip("netns", "add", self.hub)
        self._in(self.hub, "link", "set", "lo", "up")
        self._in(self.hub, "link", "add", "bridge", "type", "bridge")
        self._in(self.hub, "addr", "add", f"{PREFIX}1/24", "dev", "bridge")
        self._in(self.hub, "link", "set", "bridge", "up")

    def add(self, name: str) -> str:
        """Gives the address of a new machine."""
        number = len(self._machines) + 10
        space = f"{self._stem}-{name}"
        _ip("netns", "add", space)
        self._machines[name] = number
        self._in(
            self.hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space
        )
        self._in(self.hub, "link", "set", name, "master", "bridge")
        self._in(space, "addr", "add", f"{PREFIX}{number}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            self._in(space, "link", "set", link, "up")
        self.connect(name)
        return f"{PREFIX}{number}"

    def cut(self, name: str) -> None:
        """Pull a machine's cable."""
        self._in(self.hub, "link", "set", name, "down")

    def connect(self, name: str) -> None:
        """Put it back."""
        self._in(self.hub, "link", "set", name, "up")

    def on(self, name: str, *command: str) -> list[str]:
        """The command line that runs a command on a machine, or in the `hub`."""
        space = self.hub if name == "hub" else f"{self._stem}-{name}"
        return ["ip", "netns", "exec", space, *command]

    def alone_on(self, name: str, *command: str) -> list[str]:
        """The same for a command that sees only its own processes, which end with it."""
        own = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return self.on(name, *own, *command)

    def processes(self, name: str) -> list[int]:
        """Ids of all processes on a machine."""
        return [int(pid) for pid in _ip("netns", "pids", f"{self._stem}-{name}").split()]

    def power_off(self, name: str) -> None:
        """Kill -9 all processes of a machine."""
        deadline = time.monotonic() + 30
        while (running := self.processes(name)) and time.monotonic() < deadline:
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)

    def close(self) -> None:
        """Take everything away."""
        for name in self._machines:
            self.power_off(name)
            _ip("netns", "del", f"{self._stem}-{name}")
        _ip("netns", "del", self.hub)

    def _in(self, space: str, *arguments: str) -> None:
        _ip("-n", space, *arguments)


@contextmanager
def network() -> Iterator[Network]:
    """A `Network` that is gone afterwards."""
    made = Network()
    try:
        yield made
    finally:
        made.close()


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout
