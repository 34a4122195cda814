"""One configuration for the command line, config files and both topologies."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from crossray.core.config import from_dict
from crossray.core.errors import CrossRayError
from crossray.serving.application import build
from crossray.serving.config import Limits, Replicas, ServingConfig
from crossray.serving.haproxy import SETTINGS
from crossray.serving.replicas.deployments import options
from support.endpoint import World

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("topology", ["fused", "fanout"])
def test_builder(world: World, topology: str) -> None:
    """`serve run serve.app:build` and config files could not start the endpoint."""
    path = ROOT / "serve" / "app.py"
    spec = importlib.util.spec_from_file_location("application_under_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.build is build
    application = build({"index": world.index(2).uri, "topology": topology})
    deployments = _deployments(application)
    assert deployments == (
        {"Fused"} if topology == "fused" else {"Gateway", "Encoder", "Shard00", "Shard01"}
    )


def _deployments(application: Any) -> set[str]:
    from ray.serve._private.build_app import build_app

    built = build_app(application, name="test", default_runtime_env={})
    return {deployment.name for deployment in built.deployments}


@pytest.mark.parametrize("name", ["laptop.yaml", "t4.yaml"])
def test_config_files(name: str) -> None:
    """`serve deploy` would refuse a file that we ship, or ignore a field with a typing error."""
    text = (ROOT / "serve" / name).read_text(encoding="utf-8")
    config = ServeDeploySchema.model_validate(yaml.safe_load(text))
    (application,) = config.applications
    assert application.import_path == "crossray.serving.application:build"
    assert application.route_prefix == "/"
    from_dict(ServingConfig, application.args)
    assert config.controller_options is not None
    assert config.controller_options.runtime_env is not None
    assert SETTINGS.items() <= config.controller_options.runtime_env["env_vars"].items()


def test_replicas_of_the_command_line() -> None:
    """`--replicas` would be misread."""
    config = ServingConfig("index")
    for text, least, most in (("2", 2, 2), ("1..4", 1, 4)):
        changed = config.with_replicas(text)
        for replicas in (changed.replicas, changed.encoders, changed.shards):
            assert (replicas.min, replicas.max) == (least, most)
    for text in ("0", "4..2", "two", "1...3", "-1", ""):
        with pytest.raises(CrossRayError, match="replicas"):
            config.with_replicas(text)


@pytest.mark.parametrize("name", ["replicas", "encoders", "shards"])
def test_an_endpoint_leaves_a_laptops_cores_to_training(name: str) -> None:
    """Half a core that an idle endpoint keeps is one worker too few on a machine of two."""
    replicas = getattr(ServingConfig("index").with_replicas("2"), name)
    reserved = options(replicas, Limits())["ray_actor_options"]
    assert (reserved["num_cpus"], reserved["num_gpus"]) == (0, 0)


def test_what_cannot_be_meant() -> None:
    """Ray Serve would fail later, with a traceback."""
    for wrong in (
        lambda: Replicas(cpus=-1),
        lambda: Limits(body_bytes=0),
        lambda: Limits(seconds=0),
        lambda: Limits(seconds=36),
        lambda: ServingConfig("index", max_batch=0),
        lambda: build({"index": "index", "replica": 2}),
        lambda: build({}),
    ):
        with pytest.raises(CrossRayError):
            wrong()
