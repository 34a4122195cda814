"""Ray Serve behind HAProxy on the tests' Ray, on ports of the tests' own."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from ray import serve

from crossray.serving.haproxy import environment
from crossray.serving.launch import start_serve


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, below those that the system gives to whoever asks for any."""
    free: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.append(port)
        if len(free) == number:
            break
    return free


@contextmanager
def serve_running(ray_address: str) -> Iterator[int]:
    """Gives the port where it listens."""
    http, metrics, stats, fallback_http, fallback_grpc = free_ports(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", ray_address)
        patch.setenv("RAY_SERVE_HAPROXY_METRICS_PORT", str(metrics))
        patch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(stats))
        patch.setenv("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", str(fallback_http))
        patch.setenv("RAY_SERVE_FALLBACK_PROXY_GRPC_PORT", str(fallback_grpc))
        # What the command line's processes and the replicas share.
        settings = {
            **environment(),
            "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
            "RAY_SERVE_MAX_PER_REPLICA_RETRY_COUNT": "1",  # a damaged index stays damaged
        }
        try:
            start_serve(http, settings)
            yield http
        finally:
            serve.shutdown()
