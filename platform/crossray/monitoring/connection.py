"""The cluster that is watched."""

from __future__ import annotations

import time
from pathlib import Path

import ray

from crossray.cluster.ray_private import session_folder
from crossray.cluster.start import join_cluster
from crossray.core.errors import CrossRayError

DISCOVERY = "prom_metrics_service_discovery.json"
_DISCOVERY_SECONDS = 15.0


def connect() -> Path:
    """Connect to the cluster that runs here; gives the folder of its session.

    Raises:
        CrossRayError: none runs.
    """
    if not ray.is_initialized() and not join_cluster():
        raise CrossRayError(
            "no Ray cluster runs here whose metrics could be shown; start one with `make cluster` "
            "or `ray start --head`."
        )
    return session_folder()


def discovery_file(session: Path) -> Path:
    """The file in which Ray lists, every few seconds, what Prometheus should read.

    Raises:
        CrossRayError: the cluster's head is on another machine, or runs without its dashboard,
            which writes the file.
    """
    file = session / DISCOVERY
    deadline = time.monotonic() + _DISCOVERY_SECONDS
    while not file.is_file():
        if time.monotonic() > deadline:
            raise CrossRayError(
                f"{file}, in which Ray lists its nodes for Prometheus, is not there; run this on "
                "the cluster's head node, and start that with --include-dashboard=true."
            )
        time.sleep(0.2)
    return file
