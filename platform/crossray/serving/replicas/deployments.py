"""Options of Ray Serve's deployments, where its defaults do not fit."""

from __future__ import annotations

from typing import Any

from crossray.cluster.placement import role_selector
from crossray.serving.config import Limits, Replicas
from crossray.serving.problem import RETRY_SECONDS

APPLICATION = "crossray"
LOOK_BACK_SECONDS = 20.0
UPSCALE_SECONDS = 10.0
DOWNSCALE_SECONDS = 300.0
HEALTH_PERIOD_SECONDS = 1.0
# Requests that HAProxy passes on at most: it has as many connections.
CONNECTIONS = 4096
HEALTH_TIMEOUT_SECONDS = 10.0
SHUTDOWN_SECONDS = 20.0


def options(replicas: Replicas, limits: Limits, reading: int = 0) -> dict[str, Any]:
    """Arguments of `serve.deployment`.

    A replica is handed twice the requests that a gateway admits, and where it is one as many more
    as may be `reading` their bodies, so that it is the gateway that refuses, with a problem
    document; Ray's refusal stands behind it. A second replica starts
    when a quarter of what is admitted is reached for some seconds. Where nodes have roles, replicas
    run on those that serve.
    """
    return {
        "ray_actor_options": {
            "num_cpus": replicas.cpus,
            "num_gpus": replicas.gpus,
            "label_selector": role_selector("serve"),
        },
        "max_replicas_per_node": replicas.per_node or None,
        "max_ongoing_requests": 2 * limits.ongoing + reading,
        "max_queued_requests": limits.ongoing,
        "backpressure_config": {"status_code": 503, "retry_after_s": RETRY_SECONDS},
        "autoscaling_config": {
            "min_replicas": replicas.min,
            "max_replicas": replicas.max,
            "target_ongoing_requests": max(1, limits.ongoing // 4),
            "look_back_period_s": LOOK_BACK_SECONDS,
            "upscale_delay_s": UPSCALE_SECONDS,
            "downscale_delay_s": DOWNSCALE_SECONDS,
        },
        "health_check_period_s": HEALTH_PERIOD_SECONDS,
        "health_check_timeout_s": HEALTH_TIMEOUT_SECONDS,
        "graceful_shutdown_timeout_s": SHUTDOWN_SECONDS,
        "graceful_shutdown_wait_loop_s": 1.0,
    }


def device(replicas: Replicas) -> str:
    """Where torch computes in such a replica."""
    return "cuda" if replicas.gpus else "cpu"
