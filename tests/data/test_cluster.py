"""How data work finds Ray."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from crossray.core.errors import CrossRayError
from crossray.data.cluster import ensure_ray


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
    """A process without Ray."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.usefixtures("no_ray")
def test_private_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's default object store takes a third of a laptop's memory.

    Without the dashboard a trial that a sweep stops keeps its CPUs, and the next waits for ever.
    """
    init = FakeRay(None)
    monkeypatch.setattr(ray, "init", init)
    ensure_ray()
    assert init.calls[0]["include_dashboard"] is True
    assert init.calls[0]["object_store_memory"] < 128 << 30


@pytest.mark.usefixtures("no_ray")
def test_running_cluster_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster the ingest must use the cluster, which takes no size options."""
    init = FakeRay(ValueError("object_store_memory must not be provided"), None)
    monkeypatch.setattr(ray, "init", init)
    ensure_ray()
    assert "object_store_memory" not in init.calls[1]


@pytest.mark.usefixtures("no_ray")
def test_dead_cluster_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address file of a killed cluster must not stop work on this machine."""
    init = FakeRay(ConnectionError(), None)
    monkeypatch.setattr(ray, "init", init)
    ensure_ray()
    assert init.calls[1]["address"] == "local"


@pytest.mark.usefixtures("no_ray")
def test_named_cluster_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that was meant for a cluster must not fall on the login node in silence."""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr(ray, "init", FakeRay(ConnectionError()))
    with pytest.raises(CrossRayError, match="RAY_ADDRESS=head:6379"):
        ensure_ray()


def test_connected_process_stays_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second `ray.init` in a job raises."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", FakeRay())
    ensure_ray()
