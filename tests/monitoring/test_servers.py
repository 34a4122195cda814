"""Prometheus and Grafana are started and ended, and what stands in the way is said."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from crossray.core.errors import CrossRayError
from crossray.monitoring import connection, grafana, prometheus, server
from crossray.monitoring.connection import discovery_file
from crossray.monitoring.launch import DashboardServers
from crossray.monitoring.server import check_port, running

# A stand-in for a server: it says how it was called, and answers on the port of its environment.
STAND_IN = f"""#!{sys.executable}
import http.server, json, os, pathlib, sys
words = {{name: value for name, value in os.environ.items() if name.startswith("GF_")}}
called = pathlib.Path(__file__).with_name("called.json")
called.write_text(json.dumps([sys.argv[1:], words]))
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
address = words["GF_SERVER_HTTP_ADDR"], int(words["GF_SERVER_HTTP_PORT"])
http.server.HTTPServer(address, Healthy).serve_forever()
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(path: Path, text: str) -> Path:
    """An executable file."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_without_prometheus_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its user would see a traceback with no word of what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CrossRayError, match="Debian package prometheus"):
        DashboardServers(port=1, grafana_port=2).run()


def test_a_taken_port_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Prometheus on the port would be taken for ours, which never started."""
    program(tmp_path / "prometheus", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CrossRayError, match=rf"port {port}, .* give another port with --port"):
            DashboardServers(port=port, grafana_port=free_port()).run()
        program(tmp_path / "grafana-server", "#!/bin/sh\n")
        with pytest.raises(CrossRayError, match=rf"port {port}, .* with --grafana-port"):
            DashboardServers(port=free_port(), grafana_port=port).run()
    check_port("Prometheus", port, "--port")


def test_without_a_cluster_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty Prometheus would come up and show nothing."""
    program(tmp_path / "prometheus", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(connection.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(connection, "join_cluster", lambda: False)
    with pytest.raises(CrossRayError, match="start one with `make cluster`"):
        DashboardServers(port=free_port(), grafana_port=free_port()).run()


def test_without_the_head_node_s_list_it_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a worker node, Prometheus would wait for a file that never comes."""
    monkeypatch.setattr(connection, "_DISCOVERY_SECONDS", 0.1)
    with pytest.raises(CrossRayError, match="run this on the cluster's head node"):
        discovery_file(tmp_path)
    (tmp_path / connection.DISCOVERY).write_text("[]")
    assert discovery_file(tmp_path) == tmp_path / connection.DISCOVERY


def test_prometheus_reads_what_ray_lists() -> None:
    """A node that joins later would never be seen."""
    config = prometheus.config(Path("/session/nodes.json"))
    (job,) = config["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": ["/session/nodes.json"], "refresh_interval": "10s"}]
    assert config["global"]["scrape_interval"] == config["global"]["scrape_timeout"] == "5s"


def test_grafana_is_given_the_dashboards_and_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grafana would come up empty, or open to the network, or with its default password."""
    monkeypatch.delenv("GF_PATHS_HOME", raising=False)
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "conf").mkdir()
    (home / "conf" / "defaults.ini").touch()
    binary = program(home / "bin" / "grafana-server", STAND_IN)
    port, folder = free_port(), tmp_path / "files"
    folder.mkdir()
    with grafana.run_grafana(folder, str(binary), "http://127.0.0.1:9090", port) as started:
        assert started.alive
        pid = started.process.pid
        called, words = json.loads((home / "bin" / "called.json").read_text())
    assert not psutil.pid_exists(pid)
    assert called == [f"--homepath={home}"]
    assert words["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert words["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert words["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    provisioning = Path(words["GF_PATHS_PROVISIONING"])
    sources = yaml.safe_load((provisioning / "datasources" / "crossray.yaml").read_text())
    assert sources["datasources"][0]["url"] == "http://127.0.0.1:9090"
    providers = yaml.safe_load((provisioning / "dashboards" / "crossray.yaml").read_text())
    shown = Path(providers["providers"][0]["options"]["path"])
    names = {file.stem for file in shown.glob("*.json")}
    assert names == {"training", "sweeps", "cluster", "serving"}
    for value in words.values():
        assert not value.startswith("/") or value.startswith(str(tmp_path))


def test_a_server_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reason would stand in a log that is removed with its folder."""
    monkeypatch.setattr(server, "_START_SECONDS", 5.0)
    command, log = ["/bin/sh", "-c", "echo no disk left; exit 3"], tmp_path / "log"
    with (
        running("Prometheus", command, log) as started,
        pytest.raises(CrossRayError, match="Prometheus did not start: no disk left"),
    ):
        started.wait("http://127.0.0.1:9/")
    with running("It", ["sleep", "60"], log) as started:
        assert started.last_words() == "it gives no reason"
    with pytest.raises(ProcessLookupError):
        os.kill(started.process.pid, 0)
