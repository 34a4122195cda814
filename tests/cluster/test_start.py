"""How data work finds Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray

from crossray.cluster import start as cluster
from crossray.cluster.start import ensure_ray
from crossray.core.errors import CrossRayError


class FakeRay:
    """Stands for `ray.init`: a list of answers, one a call."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **options: Any) -> None:
        self.calls.append(options)
        if (answer := self.answers.pop(0)) is not None:
            raise answer


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without Ray, on a machine where none was started."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "find_bootstrap_address", lambda folder: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def nobodys_address() -> str:
    """Where nobody listens."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{tried.getsockname()[1]}"


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("named", [None, "local", "auto"])
def test_private_ray(monkeypatch: pytest.MonkeyPatch, named: str | None) -> None:
    """Ray's default object store takes a third of a laptop's memory.

    Without the dashboard a trial that a sweep stops keeps its CPUs, and the next waits for ever.
    """
    init = FakeRay(None)
    monkeypatch.setattr(ray, "init", init)
    if named:
        monkeypatch.setenv("RAY_ADDRESS", named)
    ensure_ray()
    assert init.calls[0]["address"] == "local"
    assert init.calls[0]["include_dashboard"] is True
    assert init.calls[0]["object_store_memory"] < 128 << 30


@pytest.mark.usefixtures("no_ray")
def test_running_cluster_is_joined(monkeypatch: pytest.MonkeyPatch, ray_cluster: str) -> None:
    """On a cluster the ingest must use the cluster, which takes no size options."""
    init = FakeRay(None)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(cluster, "find_bootstrap_address", lambda folder: ray_cluster)
    ensure_ray()
    assert init.calls[0]["address"] == ray_cluster
    assert "object_store_memory" not in init.calls[0]


@pytest.mark.usefixtures("no_ray")
def test_dead_cluster_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address file of a killed cluster must not stop work on this machine."""
    init = FakeRay(None)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(cluster, "find_bootstrap_address", lambda folder: nobodys_address())
    ensure_ray()
    assert init.calls[0]["address"] == "local"


@pytest.mark.usefixtures("no_ray")
def test_named_cluster_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that was meant for a cluster must not fall on the login node in silence."""
    address = nobodys_address()
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(CrossRayError, match=f"RAY_ADDRESS={address}"):
        ensure_ray()


@pytest.mark.parametrize("token", [{"RAY_AUTH_TOKEN": "another"}, {}])
@pytest.mark.parametrize("command", ["ingest phantom --items 2 --out pairs", "dashboards"])
def test_a_strange_token_is_one_sentence(
    ray_cluster: str, tmp_path: Path, token: dict[str, str], command: str
) -> None:
    """Ray shows a traceback, or tries for a minute and ends the process without a word."""
    kept = ("PATH", "PYTHONPATH", "RAY_TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    (tmp_path / "prometheus").write_text("#!/bin/sh\n")
    (tmp_path / "prometheus").chmod(0o755)
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    environment |= {"HOME": str(tmp_path), "CROSSRAY_STORE": str(tmp_path), **token}
    environment |= {"RAY_ADDRESS": ray_cluster, "RAY_AUTH_MODE": "token"}
    done = subprocess.run(
        [sys.executable, "-c", "from crossray.cli import main; main()", *command.split()],
        capture_output=True, text=True, check=False, env=environment, timeout=280,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the Ray cluster at {ray_cluster} does not know this user's token; set "
        "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or ~/.ray/auth_token to the token that it was "
        "started with.\n"
    )


def test_connected_process_stays_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second `ray.init` in a job raises."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", FakeRay())
    ensure_ray()
