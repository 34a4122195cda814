"""`python -m crossray.cli.cluster`: the cluster that runs here, or a new one; `make cluster`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import tyro
from ray.dashboard.utils import ray_address_to_api_server_url

from crossray.cli.running import run_command, say
from crossray.cluster.start import find_cluster
from crossray.core.errors import CrossRayError

_PORTS = {
    "--port": 6379,
    "--dashboard-port": 8265,
    "--dashboard-agent-listen-port": 52365,
    "--ray-client-server-port": 10001,
}


@dataclass(frozen=True)
class LocalCluster:
    """Say where the Ray cluster of this machine is; start one where none runs.

    Attributes:
        cpus: of a new cluster.
    """

    cpus: int

    def run(self) -> None:
        """Print the address and the dashboard's.

        Raises:
            CrossRayError: a cluster refuses this user's token, or none can be started.
        """
        state, address = "runs at", find_cluster()
        if address is None:
            _start(self.cpus)
            state, address = "has been started at", find_cluster()
        if address is None:
            raise CrossRayError(
                "the Ray cluster that was started does not answer; see `ray status`."
            )
        dashboard = "" if "://" in address else ray_address_to_api_server_url(address)
        say(f"The Ray cluster {state} {address}; its dashboard: {dashboard}")


def _start(cpus: int) -> None:
    """Start a head node, on free ports where the usual ones are taken."""
    ports = [f"{name}={port if _free(port) else _any_free()}" for name, port in _PORTS.items()]
    options = ["--dashboard-host=127.0.0.1", "--disable-usage-stats", f"--num-cpus={cpus}"]
    ray = str(Path(sys.executable).with_name("ray"))
    # A cluster that RAY_ADDRESS names has been looked for; `ray start --head` refuses the variable.
    given = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    started = subprocess.run(  # noqa: S603
        [ray, "start", "--head", *options, *ports],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=given,
    )  # fmt: skip
    if started.returncode:
        output = started.stdout.strip().splitlines() or ["it says nothing"]
        raise CrossRayError(f"Ray cannot be started: {output[-1].strip().rstrip('.')}.")


def _free(port: int) -> bool:
    with closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError:
            return False
    return True


def _any_free() -> int:
    with closing(socket.socket()) as tried:
        tried.bind(("", 0))
        return int(tried.getsockname()[1])


if __name__ == "__main__":
    run_command(lambda: tyro.cli(LocalCluster, prog="python -m crossray.cli.cluster"))
