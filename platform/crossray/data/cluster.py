"""The Ray that data work runs on."""

from __future__ import annotations

import logging
import os
from typing import Any

import ray
import ray.data

from crossray.core.errors import CrossRayError

BYTES_PER_CORE = 128 << 20


def ensure_ray(training: bool = False, silent: bool = False) -> None:
    """Connect this process to Ray, once.

    `training` passes on what workers print, unless they shall be `silent`.

    A cluster that `RAY_ADDRESS` names or that `ray start` left on this machine is used; otherwise
    a private one starts here, with a small object store, and ends with the process. Raises
    `CrossRayError` when `RAY_ADDRESS` names a cluster that does not answer.
    """
    if ray.is_initialized():
        return
    level = logging.INFO if training else logging.ERROR
    quiet: dict[str, Any] = {"log_to_driver": training and not silent, "logging_level": level}
    private: dict[str, Any] = {
        # Ray Train asks it whether a run that was stopped is gone, and holds its CPUs until then:
        # also where a process sweeps that began with work on data.
        "include_dashboard": True,
        "object_store_memory": BYTES_PER_CORE * max(2, os.cpu_count() or 1),
    }
    try:
        try:
            ray.init(**private, **quiet)
        except ValueError:  # these options may not be given to a cluster that already runs
            ray.init(**quiet)
    except ConnectionError:
        if address := os.environ.get("RAY_ADDRESS"):
            raise CrossRayError(
                f"no Ray cluster answers at RAY_ADDRESS={address}; "
                "start it, correct the address, or unset RAY_ADDRESS to run on this machine alone."
            ) from None
        # What `ray start` left behind is the address of a cluster that is gone.
        ray.init(address="local", **private, **quiet)


def quiet(context: ray.data.DataContext) -> None:
    """Keep a data set's rows in order and its own progress off the screen."""
    # At lower levels it prints a notice about its bars, and tracebacks of errors that are raised.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
