"""The names of Ray that its releases may move without notice."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from ray.train.v2._internal import constants
from ray.train.v2._internal.execution import context
from ray.train.v2._internal.execution.context import TrainRunContext
from ray.train.v2.api.callback import UserCallback

from crossray.cluster import ray_private

PACKAGE = Path(ray_private.__file__).parents[1]


def test_only_one_file_imports_private_names() -> None:
    """After an update of Ray, nobody could say which files to look at."""
    private = re.compile(r"ray[\w.]*\.(_private|_internal|core\.generated)\b")
    found = [path for path in PACKAGE.rglob("*.py") if private.search(path.read_text("utf-8"))]
    assert found == [Path(ray_private.__file__)]


def test_a_running_cluster_answers(ray_cluster: str) -> None:
    """Every command that needs Ray would end in a traceback before it begins."""
    ray_private.ask_whether_alive(ray_cluster, seconds=10.0)
    inspect.signature(ray_private.find_bootstrap_address).bind(None)


def test_training_types_are_those_of_callbacks() -> None:
    """A failed worker would be retried, or a sweep would see no epoch."""
    after = UserCallback.after_exception
    assert list(inspect.signature(after).parameters)[1:] == ["run_context", "worker_exceptions"]
    assert is_dataclass(TrainRunContext)
    assert issubclass(ray_private.worker_health_check_error(), Exception)


def test_a_variable_is_propagated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train would look for another cluster, and the trial of a sweep would wait for ever."""
    monkeypatch.setenv("CROSSRAY_TEST_VARIABLE", "here")
    ray_private.propagate_to_training("CROSSRAY_TEST_VARIABLE")
    assert constants.get_env_vars_to_propagate()["CROSSRAY_TEST_VARIABLE"] == "here"


def test_the_logger_of_reports() -> None:
    """Ray's lines about every report would run between those of the training."""
    assert context.logger.name == ray_private.train_context_logger()


def test_the_session_folder(ray_cluster: str) -> None:
    """`crossray dashboards` could not tell Prometheus what to read."""
    assert (ray_private.session_folder() / "logs").is_dir()


def test_reasons_of_death_are_numbers() -> None:
    """The dashboard would count lost nodes as ended."""
    assert len(set(ray_private.LOST_NODE)) == 2
    assert all(isinstance(reason, int) for reason in ray_private.LOST_NODE)
