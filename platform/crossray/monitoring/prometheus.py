"""Prometheus on this machine, reading the metrics of a Ray cluster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from crossray.core.errors import CrossRayError
from crossray.monitoring.server import HOST, Server, running

SCRAPE_SECONDS = 5


def prometheus_program() -> str:
    """The path of Prometheus; raises `CrossRayError` where it is not installed."""
    found = shutil.which("prometheus")
    if found is None:
        raise CrossRayError(
            "Prometheus, which keeps the metrics, is not installed; install the Debian package "
            "prometheus, or put its program into the PATH."
        )
    return found


def config(discovery: Path) -> dict[str, Any]:
    """Read every address that Ray lists; a node that comes or goes is seen within seconds."""
    job = {
        "job_name": "ray",
        "file_sd_configs": [{"files": [str(discovery)], "refresh_interval": "10s"}],
    }
    interval = f"{SCRAPE_SECONDS}s"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [job],
    }


@contextmanager
def run_prometheus(folder: Path, discovery: Path, port: int) -> Iterator[Server]:
    """Run Prometheus for as long as the block, which begins when it answers.

    `folder`: for its configuration and data. `discovery`: the file in which Ray lists its nodes.

    Raises:
        CrossRayError: it is not installed or does not start.
    """
    binary, file = prometheus_program(), folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config(discovery)), encoding="utf-8")
    command = [
        binary,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        "--log.level=warn",
    ]
    with running("Prometheus", command, folder / "prometheus.log") as server:
        server.wait(f"{prometheus_address(port)}/-/ready")
        yield server


def prometheus_address(port: int) -> str:
    """Where Prometheus is, by its port."""
    return f"http://{HOST}:{port}"
