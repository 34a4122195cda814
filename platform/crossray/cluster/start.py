"""Connect to the cluster that runs, or start Ray on this machine."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import grpc
import ray
from ray.exceptions import AuthenticationError

from crossray.cluster.ray_private import ask_whether_alive, find_bootstrap_address
from crossray.core.errors import CrossRayError

if TYPE_CHECKING:  # an endpoint has no Ray Data
    from ray.data import DataContext

BYTES_PER_CORE = 128 << 20
_SECONDS_TO_ANSWER = 5.0


def ensure_ray(training: bool = False, silent: bool = False) -> None:
    """Connect this process to Ray, once.

    `training` passes on what workers print, unless they shall be `silent`.

    A cluster that `RAY_ADDRESS` names or that `ray start` left on this machine is used; otherwise
    a private one starts here, with a small object store, and ends with the process. Raises
    `CrossRayError` as `join_cluster`.
    """
    if ray.is_initialized():
        return
    passed_on = training and not silent
    if not join_cluster(passed_on):
        ray.init(
            address="local",
            # Ray Train asks it whether a run that was stopped is gone, and holds its CPUs until
            # then: also where a process sweeps that began with work on data.
            include_dashboard=True,
            object_store_memory=BYTES_PER_CORE * max(2, os.cpu_count() or 1),
            log_to_driver=passed_on,
            logging_level=logging.ERROR,
        )


def join_cluster(log_to_driver: bool = False) -> bool:
    """Connect this process to the cluster of `find_cluster`; False where there is none."""
    address = find_cluster()
    if address is not None:
        ray.init(address=address, log_to_driver=log_to_driver, logging_level=logging.ERROR)
    return address is not None


def find_cluster() -> str | None:
    """The address of the cluster that `RAY_ADDRESS` names or that `ray start` left here.

    A Ray that another program started for itself is none.

    Raises:
        CrossRayError: the cluster that `RAY_ADDRESS` names does not answer, or the token that this
            process has is not the cluster's.
    """
    named = os.environ.get("RAY_ADDRESS")
    if named == "auto":
        named = None
    address: str | None = named or find_bootstrap_address(None)
    if address is None or address == "local":
        return None
    if "://" in address or _answers(address):  # Ray's client has an address of another kind
        return address
    if named:
        raise CrossRayError(
            f"no Ray cluster answers at RAY_ADDRESS={named}; "
            "start it, correct the address, or unset RAY_ADDRESS to run on this machine alone."
        )
    return None  # what `ray start` left behind is the address of a cluster that is gone


def _answers(address: str) -> bool:
    """Whether a cluster answers at this address."""
    try:
        ask_whether_alive(address, _SECONDS_TO_ANSWER)
    except AuthenticationError:
        raise _strange(address) from None
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise _strange(address) from None
        return False
    return True


def _strange(address: str) -> CrossRayError:
    return CrossRayError(
        f"the Ray cluster at {address} does not know this user's token; set RAY_AUTH_MODE=token, "
        "and RAY_AUTH_TOKEN or ~/.ray/auth_token to the token that it was started with."
    )


def quiet(context: DataContext) -> None:
    """Keep a data set's rows in order and its progress off the screen."""
    # At lower levels it prints a notice about its bars, and tracebacks of errors that are raised.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
