"""`crossray dashboards`: Prometheus, and Grafana where it is installed, on the running cluster."""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import ray
from rich.console import Console

from crossray.core.errors import CrossRayError
from crossray.monitoring import prometheus
from crossray.monitoring.connection import connect, discovery_file
from crossray.monitoring.grafana import grafana_address, grafana_program, run_grafana
from crossray.monitoring.server import Server, check_port, running


@dataclass(frozen=True)
class DashboardServers:
    """Show what the cluster of this machine does.

    Attributes:
        port: of Prometheus, on this machine only.
        grafana_port: of Grafana, on this machine only.
    """

    port: int
    grafana_port: int

    def run(self) -> None:
        """Show it until interrupted; what the servers have written is removed then.

        Raises:
            CrossRayError: Prometheus is not installed, no cluster runs here, a port is taken, or
                one of the servers does not start or ends by itself.
        """
        prometheus.prometheus_program()
        check_port("Prometheus", self.port, "--port")
        viewer = grafana_program()
        if viewer is not None:
            check_port("Grafana", self.grafana_port, "--grafana-port")
        discovery = discovery_file(connect())
        ray.shutdown()  # Ray ends whoever is connected with it
        for number in (signal.SIGINT, signal.SIGTERM):  # a script may have SIGINT ignored
            signal.signal(number, _interrupt)
        try:
            with tempfile.TemporaryDirectory(prefix="crossray-") as name, ExitStack() as stack:
                root = Path(name)
                servers = stack.enter_context(watching(root, discovery, self.port))
                if viewer is not None:
                    source, folder = prometheus.prometheus_address(self.port), root / "grafana"
                    shown = run_grafana(folder, viewer, source, self.grafana_port)
                    servers.append(stack.enter_context(shown))
                self._announce(viewer is not None)
                _wait_for_one(servers)
        except KeyboardInterrupt:
            pass

    def _announce(self, shown: bool) -> None:
        say = Console(soft_wrap=True, highlight=False).print
        say(f"Prometheus: {prometheus.prometheus_address(self.port)}")
        if shown:
            say(f"Grafana:    {grafana_address(self.grafana_port)}/dashboards")
        else:
            say(
                "Grafana:    there is no grafana-server in the PATH; add this Prometheus to the "
                "Grafana that you have, and import serve/dashboards/*.json"
            )
        say("Ctrl-C ends this.")


@contextmanager
def watching(folder: Path, discovery: Path, port: int) -> Iterator[list[Server]]:
    """Run Prometheus, and the count of nodes, for as long as the block.

    `folder`: for what they write. `discovery`: the file in which Ray lists its nodes.

    Raises:
        CrossRayError: Prometheus does not start.
    """
    count = [sys.executable, "-m", "crossray.monitoring.nodes"]
    with (
        prometheus.run_prometheus(folder, discovery, port) as server,
        running("The count of nodes", count, folder / "nodes.log") as counter,
    ):
        yield [server, counter]


def _wait_for_one(servers: Sequence[Server]) -> NoReturn:
    while all(server.alive for server in servers):
        time.sleep(1)
    ended = next(server for server in servers if not server.alive)
    raise CrossRayError(
        f"{ended.name} has ended, perhaps with its cluster: {ended.last_words()}; see "
        "`ray status`, and start this again."
    )


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
