"""Work lands on the nodes that are there for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray

from crossray.cluster import placement
from crossray.cluster.placement import ROLE, role_selector
from crossray.core.errors import CrossRayError


def nodes_with(*roles: str | None) -> list[dict[str, Any]]:
    """What `ray.nodes()` says of nodes with these roles, and of one that is gone."""
    gone = {"Alive": False, "Labels": {ROLE: "train"}}
    return [{"Alive": True, "Labels": {ROLE: role} if role else {}} for role in roles] + [gone]


@pytest.fixture
def no_autoscaler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that `ray up` never wrote to; gives where it would write."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    launched = tmp_path / "ray_bootstrap_config.yaml"
    monkeypatch.setattr(placement, "_LAUNCHED", str(launched))
    return launched


@pytest.mark.usefixtures("no_autoscaler")
def test_a_cluster_without_roles_runs_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a laptop a selector would wait forever for a node that never comes."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", lambda: nodes_with(None, None))
    assert role_selector("train") == {}
    assert role_selector("serve") == {}


def test_a_missing_role_is_refused(monkeypatch: pytest.MonkeyPatch, no_autoscaler: Path) -> None:
    """Ray would wait without a word for a node that nothing can start."""
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", lambda: nodes_with("head", "train", None))
    assert role_selector("train") == {ROLE: "train"}
    with pytest.raises(CrossRayError, match=r"crossray-role=serve, only head, train; start one"):
        role_selector("serve")
    no_autoscaler.write_text(
        "available_node_types: {t4: {labels: {crossray-role: serve}}, head: {}}"
    )
    assert role_selector("serve") == {ROLE: "serve"}
    no_autoscaler.unlink()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert role_selector("serve") == {ROLE: "serve"}


SEVERAL_NODES = f"""
import ray
from ray.cluster_utils import Cluster
from crossray.cluster.placement import role_selector

cluster = Cluster()
for role in ("head", "train", "serve"):
    cluster.add_node(num_cpus=1, labels={{"{ROLE}": role}}, include_dashboard=False)
ray.init(address=cluster.address, log_to_driver=False)
roles = {{node["NodeID"]: node["Labels"]["{ROLE}"] for node in ray.nodes()}}

@ray.remote(num_cpus=1)
def where():
    return ray.get_runtime_context().get_node_id()

for role in ("train", "serve"):
    task = where.options(label_selector=role_selector(role))
    print([roles[node] for node in ray.get([task.remote() for _ in range(2)])])
ray.shutdown()
cluster.shutdown()
"""


def test_tasks_run_on_the_nodes_of_their_role() -> None:
    """Training on a serving node takes the GPU away from those who ask."""
    run = subprocess.run(
        [sys.executable, "-c", SEVERAL_NODES], capture_output=True, text=True, timeout=280
    )
    assert run.stdout.splitlines() == ["['train', 'train']", "['serve', 'serve']"], run.stderr
