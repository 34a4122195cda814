"""The cluster that is watched."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import ray

from crossray.core.errors import CrossRayError

DISCOVERY = "prom_metrics_service_discovery.json"
_DISCOVERY_SECONDS = 15.0


def connect() -> Path:
    """Connect to the cluster that runs here; gives the folder of its session.

    Raises:
        CrossRayError: none runs.
    """
    try:
        # Where this process is connected already, Ray says to which session.
        context: Any = ray.init(
            "auto", log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True
        )
    except ConnectionError:
        raise CrossRayError(
            "no Ray cluster runs here whose metrics could be shown; start one with `make cluster` "
            "or `ray start --head`."
        ) from None
    return Path(context.address_info["session_dir"])


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
