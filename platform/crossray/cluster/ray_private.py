"""Ray's names that are not part of its public interface, in one place.

A release of Ray may move any of them without notice. Everything else of the package imports them
from here, and a test checks that the installed Ray has them in the form that is used.

- `find_bootstrap_address`: `ray.init(address="auto")` raises where no cluster runs, and also joins
  a private Ray of another program.
- `TrainRunContext`: what Ray Train hands to a public `UserCallback`; for annotations.

Names of Ray Train are imported where they are used: an endpoint is started without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray._private.grpc_utils import init_grpc_channel
from ray._private.services import find_bootstrap_address
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
from ray.core.generated.common_pb2 import NodeDeathInfo  # type: ignore[attr-defined]  # made at import

if TYPE_CHECKING:
    from ray.train.v2._internal.execution.context import TrainRunContext

__all__ = [
    "LOST_NODE",
    "TrainRunContext",
    "ask_whether_alive",
    "find_bootstrap_address",
    "propagate_to_training",
    "session_folder",
    "train_context_logger",
    "worker_health_check_error",
]

# `ray.nodes()` gives the reason of a node's death as a number, and no public name for it.
LOST_NODE: tuple[int, ...] = (
    NodeDeathInfo.UNEXPECTED_TERMINATION,
    NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED,
)


def ask_whether_alive(address: str, seconds: float) -> None:
    """Ask a cluster's control store for a sign of life.

    `ray.init` would try for minutes, and end the process.

    Raises:
        grpc.RpcError: it does not answer in time.
        ray.exceptions.AuthenticationError: this process has no token for it.
    """
    protocol: Any = gcs_service_pb2
    services: Any = gcs_service_pb2_grpc
    nodes = services.NodeInfoGcsServiceStub(init_grpc_channel(address))
    nodes.CheckAlive(protocol.CheckAliveRequest(), timeout=seconds)


def propagate_to_training(variable: str) -> None:
    """Hand an environment variable of this process to the processes that Ray Train starts.

    The `runtime_env` of a run reaches its workers but not its controller and its state actor.
    """
    from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE

    ENV_VARS_TO_PROPAGATE.add(variable)


def train_context_logger() -> str:
    """The logger of the lines that Ray Train prints about every report of a worker.

    Ray Train has no setting for them, and names their logger after its file.
    """
    from ray.train.v2._internal.execution import context

    return context.__file__


def worker_health_check_error() -> type[Exception]:
    """The error that tells a worker that was lost from one whose program is wrong."""
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

    return WorkerHealthCheckFailedError


def session_folder() -> Path:
    """The folder of the session that this process is connected to.

    Only there does Ray write which addresses Prometheus should read, and it has no public name
    for the folder.
    """
    node: Any = ray._private.worker.global_worker.node
    return Path(node.get_session_dir_path())
