"""Every panel of the dashboards shows something of a cluster that trains, sweeps and answers."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from crossray.monitoring.connection import connect, discovery_file
from crossray.monitoring.launch import watching
from crossray.monitoring.prometheus import prometheus_address
from crossray.monitoring.server import running
from crossray.serving.access_token import provide_token
from crossray.serving.config import Replicas, ServingConfig
from crossray.serving.launch import deploy
from crossray.studies.sweep.progress import SweepMetrics
from support.endpoint import make_world
from support.nodes import wait_for
from support.pairs import phantom_pairs
from support.serve import free_ports, serve_running

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 240.0


def queries() -> dict[str, str]:
    """Every query of every panel, as Grafana sends it when nothing is chosen, by its place."""
    found = {}
    for file in sorted((ROOT / "serve" / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$run", ".*").replace("$__rate_interval", "20s")
                assert "$" not in query
                found[f"{file.stem}: {panel['title']}: {target['refId']}"] = query
    return found


class Asker:
    """Asks Prometheus for what a panel shows of the time since the test began."""

    def __init__(self, port: int) -> None:
        self._url, self._began = f"{prometheus_address(port)}/api/v1/query_range", time.time()

    def samples(self, query: str) -> list[float]:
        """All values of all lines."""
        asked = {"query": query, "start": self._began, "end": time.time(), "step": 1}
        answer: dict[str, Any] = httpx2.get(self._url, params=asked, timeout=20).json()
        assert answer["status"] == "success", answer
        lines = answer["data"]["result"]
        values = (float(value) for line in lines for _, value in line["values"])
        return [value for value in values if not math.isnan(value)]


def train(folder: Path) -> list[str]:
    """The command of a run of small batches that goes on until it is ended."""
    phantom_pairs(str(folder / "films"), 100)
    options = {
        "--recipe": "hier_tiny", "--pairs": folder / "films", "--out": folder / "teacher",
        "--method.image.image-size": 64, "--method.grids": 2, "--train.batch-size": 16,
        "--train.validation-items": 10, "--train.workers": 1,
        "--train.epochs": 10_000, "--train.patience": 10_000,
    }  # fmt: skip
    given = [str(word) for option in options.items() for word in option]
    return [sys.executable, str(ROOT / "jobs" / "pretrain.py"), *given]


def search(port: int) -> None:
    """Two requests, of which one is refused."""
    url = f"http://127.0.0.1:{port}/v1/search"
    for token, status in ((provide_token(), 200), ("wrong", 401)):
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx2.post(url, json={"text": "dog jumps"}, headers=headers, timeout=60)
        assert answer.status_code == status


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs the package prometheus")
def test_every_query_of_every_panel_gives_samples(
    ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel whose query misspells a metric or a label stays empty, as if nothing happened."""
    monkeypatch.setenv("RAY_ADDRESS", ray_cluster)
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (port,), missing = free_ports(1), queries()
    (folder := tmp_path / "watch").mkdir()
    with (
        watching(folder, discovery_file(connect()), port) as servers,
        running("The training run", train(tmp_path), tmp_path / "run.log") as run,
        serve_running(ray_cluster) as endpoint,
    ):
        asker, sweep = Asker(port), SweepMetrics("sweep")
        sweep.update({"RUNNING": 1, "TERMINATED": 2}, 0.5)
        index = make_world(tmp_path).index(1)
        deploy(ServingConfig(index.uri, replicas=Replicas(min=1, max=1, cpus=0.1)))
        ready = f"http://127.0.0.1:{endpoint}/readyz"
        # HAProxy hears of replicas some seconds after Ray does.
        wait_for(lambda: httpx2.get(ready, timeout=20).is_success, "the endpoint answers")
        deadline = time.monotonic() + WAIT_SECONDS
        while missing and time.monotonic() < deadline:
            assert run.alive, run.last_words()
            search(endpoint)
            time.sleep(1)
            missing = {place: q for place, q in missing.items() if not asker.samples(q)}
        assert not missing
        assert not asker.samples("ray_crossray_nothing")
        assert all(server.alive for server in servers)
    assert not any(server.alive for server in servers)
