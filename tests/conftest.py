"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partialmethod
from typing import Any
from unittest.mock import patch

import pytest
import ray
from ray._private.parameter import RayParams

pytest_plugins = ["support.importers"]


@pytest.fixture(scope="session")
def _ray() -> Iterator[Any]:
    # Else two Rays on a machine want one port for the agents that start jobs, and one gets it.
    with patch.object(
        RayParams, "__init__", partialmethod(RayParams.__init__, dashboard_agent_listen_port=0)
    ):
        started = ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=True,
            dashboard_port=0,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200 << 20,
        )
    yield started
    ray.shutdown()


@pytest.fixture(scope="session")
def ray_cluster(_ray: Any) -> str:
    """One Ray of two cores for the whole test session; gives its address."""
    address: str = _ray.address_info["gcs_address"]
    return address


@pytest.fixture(scope="session")
def ray_dashboard(_ray: Any) -> str:
    """Where jobs are submitted to the `ray_cluster`."""
    return f"http://{_ray.dashboard_url}"
