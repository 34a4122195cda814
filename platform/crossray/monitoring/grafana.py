"""Grafana on this machine, with the dashboards in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from crossray.monitoring.boards import write
from crossray.monitoring.prometheus import SCRAPE_SECONDS
from crossray.monitoring.server import HOST, Server, running

_PACKAGED_HOME = Path("/usr/share/grafana")


def grafana_program() -> str | None:
    """The path of Grafana's server, if it is installed."""
    return shutil.which("grafana-server")


@contextmanager
def run_grafana(folder: Path, binary: str, source: str, port: int) -> Iterator[Server]:
    """Run Grafana for as long as the block, which begins when it answers.

    Everybody on this machine may look, and nobody may log in. `source`: address of Prometheus.

    Raises:
        CrossRayError: it does not start.
    """
    provide(folder, source)
    environment = {
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_AUTH_DISABLE_LOGIN_FORM": "true",
        "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    }
    command = [binary, f"--homepath={_home(binary)}"]
    with running("Grafana", command, folder / "grafana.log", environment) as server:
        server.wait(f"{grafana_address(port)}/api/health")
        yield server


def grafana_address(port: int) -> str:
    """Where Grafana is, by its port."""
    return f"http://{HOST}:{port}"


def provide(folder: Path, source: str) -> None:
    """Write the files from which Grafana takes its data source and its dashboards."""
    dashboards, provisioning = folder / "dashboards", folder / "provisioning"
    dashboards.mkdir(parents=True)
    write(dashboards)
    sources = {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": "prometheus",
                "type": "prometheus",
                "access": "proxy",
                "url": source,
                "isDefault": True,
                "jsonData": {"timeInterval": f"{SCRAPE_SECONDS}s"},
            }
        ],
    }
    providers = {
        "apiVersion": 1,
        "providers": [
            {
                "name": "CrossRay",
                "folder": "CrossRay",
                "type": "file",
                "options": {"path": str(dashboards)},
            }
        ],
    }
    for name, content in (("datasources", sources), ("dashboards", providers)):
        file = provisioning / name / "crossray.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump(content), encoding="utf-8")


def _home(binary: str) -> Path:
    """Where Grafana's files are: around the program in its archive, else where packages go."""
    if given := os.environ.get("GF_PATHS_HOME"):
        return Path(given)
    around = Path(binary).resolve().parent.parent
    return around if (around / "conf" / "defaults.ini").is_file() else _PACKAGED_HOME
