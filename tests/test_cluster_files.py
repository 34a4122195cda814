"""The files that start a cluster are what Ray and KubeRay take."""

from __future__ import annotations

import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve.schema import ServeDeploySchema

from crossray.cluster.node_check import NodeCheck
from crossray.cluster.placement import ROLE
from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.serving.config import ServingConfig
from support.extras import project
from support.kuberay import pods, resource_schema

ROOT = Path(__file__).parent.parent
KUBERNETES = "1.34"


def load(name: str) -> dict[str, Any]:
    """A YAML file of the project."""
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


def test_cluster_yaml_is_what_ray_takes() -> None:
    """A field that Ray does not know stops `ray up` after the head node is paid for."""
    cluster = load("cluster.yaml")
    validate_config(prepare_config(deepcopy(cluster)))
    types = cluster["available_node_types"]
    assert {kind["labels"][ROLE] for kind in types.values()} == {"head", "train", "serve"}
    assert all(kind.get("min_workers", 0) == 0 for kind in types.values())
    for kind in types.values():
        for command in kind.get("worker_setup_commands", []):
            if "--gpus" in command:
                assert command.endswith(f"--gpus {kind['resources']['GPU']}")
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**prepare_config(deepcopy(cluster)), "max_worker": 3})


def test_setup_commands_install_what_the_makefile_installs() -> None:
    """A node with other versions than the constraints fails in ways that nobody can repeat."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "-e '.[$(EXTRAS)]' -c platform/constraints.txt" in makefile


@pytest.mark.parametrize("name", ["cluster.yaml", "serve/kuberay/Dockerfile"])
def test_installed_extras_exist_and_bring_one_faiss(name: str) -> None:
    """Pip only warns of an unknown extra, and then the node lacks Ray, or has FAISS twice."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lists = re.findall(r"EXTRAS=(\S+)|'\.\[(.+)\]'", text)
    assert lists
    for extras in (set("".join(pair).split(",")) for pair in lists):
        assert extras <= set(project()["optional-dependencies"])
        assert extras > {"train", "serve", "data", "report"}
        assert len(extras & {"cpu", "gpu"}) == 1


@pytest.mark.parametrize(("name", "kind"), [("pretrain", "RayJob"), ("endpoint", "RayService")])
def test_kuberay_manifests(name: str, kind: str) -> None:
    """The operator drops fields that it does not know without a word."""
    manifest = load(f"serve/kuberay/{name}.yaml")
    jsonschema.validate(manifest, resource_schema(kind))
    spec = manifest["spec"]
    cluster = spec.get("rayClusterSpec") or spec["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == ray.__version__
    role = {"RayJob": "train", "RayService": "serve"}[kind]
    assert [group["labels"] for group in cluster["workerGroupSpecs"]] == [{ROLE: role}]
    for pod in pods(cluster):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        pod["spec"]["containers"][0]["resource"] = {}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    broken = deepcopy(manifest)
    broken["spec"]["rayClusterSpecs"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, resource_schema(kind))


def test_the_endpoint_on_kubernetes_is_a_serve_config() -> None:
    """Serve would refuse it only after the pods are up."""
    text = load("serve/kuberay/endpoint.yaml")["spec"]["serveConfigV2"]
    config = ServeDeploySchema.model_validate(yaml.safe_load(text))
    from_dict(ServingConfig, config.applications[0].args, "endpoint.yaml")


def test_a_node_without_its_gpus_is_refused() -> None:
    """Training on seven of eight GPUs starts hours before anybody looks."""
    with pytest.raises(CrossRayError, match=r"this node has \d+ GPUs .* 4096 are expected"):
        NodeCheck(gpus=4096).run()


def test_a_node_that_works_says_so() -> None:
    """The check runs when a node is set up, in a process of its own."""
    command = [sys.executable, "-m", "crossray.cluster.node_check", "--gpus", "0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert run.returncode == 0, run.stderr
    assert "gloo: 2 processes add up" in run.stdout
    assert "ShareMemComm is compiled" in run.stdout
