"""`crossray serve`: an index on the running Ray cluster, or on a private one."""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

import httpx2
import ray
from ray import serve
from ray.serve.schema import ApplicationStatusOverview
from rich.console import Console

from crossray.cluster.start import ensure_ray, join_cluster
from crossray.core.errors import CrossRayError
from crossray.serving.access_token import TOKEN_VARIABLE, provide_token, token_file
from crossray.serving.application import build_application
from crossray.serving.config import ServingConfig
from crossray.serving.haproxy import environment
from crossray.serving.replicas.deployments import APPLICATION

HOST = "127.0.0.1"
_START_SECONDS = 600.0
_ANSWER_SECONDS = 30.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Launch:
    """Start the endpoint, say where it is, and remove it at the end.

    Attributes:
        config: what is served; its index is an absolute path or URI.
        port: of the HTTP endpoint, on this machine only.
        detach: return when it answers, and leave it running.
    """

    config: ServingConfig
    port: int
    detach: bool

    def run(self) -> None:
        """Serve until interrupted.

        Raises:
            CrossRayError: the index cannot be served, no cluster runs that could keep the endpoint
                after this process, or it does not come up.
        """
        settings, token = environment(), provide_token()
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        build_application(self.config)  # what cannot be served is said before Ray starts
        _connect(self.detach)
        for number in (signal.SIGINT, signal.SIGTERM):  # a script may have SIGINT ignored
            signal.signal(number, _interrupt)
        shared = bool(serve.status().proxies)
        try:
            start_serve(self.port, settings)
            deploy(self.config)
            self._announce(_wait_until_answering(self.port), token)
            while not self.detach:
                time.sleep(3600)
        except KeyboardInterrupt:
            _remove(shared)
        except CrossRayError:
            _remove(shared)
            raise

    def _announce(self, served: dict[str, Any], token: str) -> None:
        kept = f"${TOKEN_VARIABLE}" if os.environ.get(TOKEN_VARIABLE) else str(token_file())
        url = _url(self.port)
        console = Console(soft_wrap=True)
        for name, value in (
            ("index", f"{self.config.index} {served['index'][:12]}"),
            ("model", served["model"][:12]),
            ("search", f"{url}/v1/search, described at {url}/docs"),
            ("page", f"{url}/"),
            ("token", f"{token} ({kept}, where `crossray search` finds it)"),
        ):
            console.print(f"{name:8} {value}", highlight=False, markup=False)
        if not self.detach:
            console.print("Ctrl-C stops it.", highlight=False)


def start_serve(port: int, settings: dict[str, str]) -> None:
    """Start Ray Serve with these environment variables, unless it runs on the cluster already."""
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": HOST, "port": port},
        controller_options={"runtime_env": {"env_vars": settings}},
    )


def deploy(config: ServingConfig) -> None:
    """Deploy the application, or put it in the place of the one that runs; returns when it runs.

    Raises:
        CrossRayError: it cannot be served, or does not start; with Ray Serve's reason.
    """
    target = serve.RunTarget(build_application(config), APPLICATION)
    serve.run_many([target], wait_for_applications_running=False)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        found = serve.status().applications.get(APPLICATION)
        if found is not None and found.status == "RUNNING":
            return
        if found is not None and found.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise CrossRayError(f"the endpoint did not start: {_reason(found)}.")
        time.sleep(_POLL_SECONDS)
    why = _reason(found) if found is not None else "Ray Serve does not know of it"
    raise CrossRayError(
        f"the endpoint is not up after {_START_SECONDS:.0f} s: {why}; see that the cluster has "
        "the cores and GPUs that its replicas reserve."
    )


def _connect(lasting: bool) -> None:
    """Connect to Ray; a `lasting` endpoint needs a cluster that does not end with this process."""
    if not lasting:
        ensure_ray()
    elif not ray.is_initialized() and not join_cluster():
        raise CrossRayError(
            "no Ray cluster runs here that could keep the endpoint; start one with "
            "`ray start --head`, or leave out --detach."
        )
    nodes = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
    if nodes > 1:
        raise CrossRayError(
            f"this cluster has {nodes} machines, which cannot reach replicas that listen on "
            f"{HOST}; deploy with a config file such as serve/t4.yaml."
        )


def _wait_until_answering(port: int) -> dict[str, Any]:
    """What the endpoint says that it serves."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            answer = httpx2.get(f"{_url(port)}/readyz", timeout=5)
            if answer.status_code == 200 and "index" in answer.json():
                return dict(answer.json())
        except (httpx2.HTTPError, ValueError):
            pass
        time.sleep(_POLL_SECONDS)
    raise CrossRayError(
        f"nothing answers at {_url(port)}: Ray Serve already runs on this cluster with another "
        "address, or the port is taken; run `serve shutdown -y` first, or give its --port."
    )


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _remove(shared: bool) -> None:
    """Take the application away, and Ray Serve with it unless that was `shared`."""
    if shared:
        serve.delete(APPLICATION)
    else:
        serve.shutdown()  # type: ignore[no-untyped-call]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _reason(found: ApplicationStatusOverview) -> str:
    messages = [*(deployment.message for deployment in found.deployments.values()), found.message]
    lines = [line.strip() for message in messages for line in message.split("\n")]
    found_lines = [line for line in lines if "Error" in line] or [line for line in lines if line]
    if not found_lines:
        return "Ray Serve gives no reason"
    return found_lines[-1].removeprefix(f"{CrossRayError.__module__}.CrossRayError: ").rstrip(".")
