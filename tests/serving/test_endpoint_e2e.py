"""The endpoint on Ray Serve behind HAProxy: both topologies, the command line, a killed replica."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
import pytest
import ray
import torch
from starlette.testclient import TestClient

from crossray.cli import main
from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.models.encoder import ModelEncoder
from crossray.serving.access_token import provide_token
from crossray.serving.config import Limits, Replicas, ServingConfig, Topology
from crossray.serving.launch import deploy
from support.endpoint import DIM, World, told
from support.images import encoded_image
from support.serve import serve_running

pytestmark = pytest.mark.e2e

MODES = ("float", "binary", "rescore")
TARGETS = ("image", "text", "any")
SMALL = Replicas(min=1, max=1, cpus=0.1)
RECOVERY_SECONDS = 150


@pytest.fixture(scope="module")
def port(ray_cluster: str, world: World) -> Iterator[int]:
    """Where Ray Serve listens."""
    with serve_running(ray_cluster) as listening:
        yield listening


@pytest.fixture(scope="module")
def serving(port: int, world: World) -> Iterator[Callable[..., httpx2.Client]]:
    """Deploys an index in some topology; gives a client of the endpoint."""
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {provide_token()}"},
        timeout=60,
    ) as client:

        def run(
            topology: Topology, shards: int, replicas: int = 1, served: World = world
        ) -> httpx2.Client:
            fixed, index = Replicas(min=replicas, max=replicas, cpus=0.1), served.index(shards)
            deploy(ServingConfig(index.uri, topology, fixed, SMALL, SMALL))
            wait_for(lambda: client.get("/readyz").json().get("index") == index.id)
            return client

        yield run


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds; fails after some time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def agree(answer: dict[str, Any], expected: list[tuple[float, str, str, int]]) -> None:
    """The same hits; those whose scores differ by no more than rounding may change places."""
    found, scores = told(answer), {hit[1:]: hit[0] for hit in expected}
    np.testing.assert_allclose([h[0] for h in found], [h[0] for h in expected], atol=1e-5)
    for score, *key in found:
        assert abs(scores.get(tuple(key), expected[-1][0]) - score) <= 1e-5


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("topology", ["fused", "fanout"])
def test_all_topologies_answer_as_brute_force(
    serving: Callable[..., httpx2.Client], world: World, topology: Topology, shards: int
) -> None:
    """Hits would depend on how an index is served: some would be missing or in another order."""
    client = serving(topology, shards)
    rng = np.random.default_rng()
    side = world.side("image")
    for mode in MODES:
        for target in TARGETS:
            row = int(rng.integers(len(side.keys)))
            stored = side.vectors_ND[row].astype(np.float32)
            vector_D = stored if rng.random() < 0.5 else rng.standard_normal(DIM, np.float32)
            code_Y, k = side.codes_NY[row], int(rng.integers(1, 60))
            request = {
                "vector": vector_D.tolist(), "code": code_Y.tobytes().hex(),
                "k": k, "target": target, "mode": mode,
            }  # fmt: skip
            answer = client.post("/v1/search", json=request)
            assert answer.status_code == 200, answer.text
            assert told(answer.json()) == world.expected(target, vector_D, code_Y, k, mode)
    check_encoders(client, world)
    refused = client.post("/v1/search", json={"text": " "})
    assert (refused.status_code, "no word" in refused.json()["detail"]) == (422, True)
    for _ in range(5):
        large = client.post("/v1/search", content=b"x" * (Limits().body_bytes + 1))
        assert (large.status_code, large.json()["status"]) == (413, 413)


def check_encoders(client: httpx2.Client, world: World) -> None:
    """Texts, images in both forms, and items are asked for and found."""
    torch.set_num_threads(1)
    encoder, image = ModelEncoder(world.model), encoded_image(98)
    large = encoded_image(97, "PNG", side=900)
    assert len(large) > 2 << 20
    asked: list[tuple[dict[str, Any], Any, str]] = [
        ({"json": {"text": "dog jumps"}}, encoder.texts([["dog jumps"]]), "image"),
        ({"json": {"image": base64.b64encode(image).decode()}}, encoder.images([image]), "text"),
        ({"files": {"image": ("x.jpg", image)}}, encoder.images([image]), "text"),
        ({"files": {"image": ("x.png", large)}}, encoder.images([large]), "text"),
    ]
    for body, encoded, target in asked:
        answer = client.post("/v1/search", **body)
        assert answer.status_code == 200, answer.text
        expected = world.expected(target, encoded.z_BD[0], encoded.codes_BY[0], 10, "float")
        agree(answer.json(), expected)
    side = world.side("image")
    row = side.keys.index(("item-001", 0))
    request = {"item_id": "item-001", "mode": "rescore", "include_self": True}
    answer = client.post("/v1/search", json=request)
    vector_D = side.vectors_ND[row].astype(np.float32)
    assert told(answer.json()) == world.expected(
        "text", vector_D, side.codes_NY[row], 10, "rescore"
    )


def test_a_teacher_ranks_again_across_shards(
    serving: Callable[..., httpx2.Client],
    teachers: dict[str, World],
    connect_to: Callable[[Artifact], TestClient],
) -> None:
    """Representations would get lost, or change places, between shards and encoder."""
    world = teachers["hier"]
    client, here = serving("fanout", 3, served=world), connect_to(world.index(3))
    image = base64.b64encode(encoded_image(98)).decode()
    for query in ({"text": "dog jumps"}, {"image": image}, {"item_id": "item-001"}):
        request = {**query, "k": 20, "rerank": 30}
        answer = client.post("/v1/search", json=request)
        assert answer.status_code == 200, answer.text
        agree(answer.json(), told(here.post("/v1/search", json=request).json()))
    for wrong in ({"mode": "binary"}, {"rerank": 10**9}, {"rerank": 30, "target": "text"}):
        refused = client.post("/v1/search", json={"text": "dog", **wrong})
        assert refused.status_code == 422


@pytest.mark.parametrize(
    ("name", "how"), [("gpldan", "rerank"), ("cmfg", "rerank"), ("mmach", "mode")]
)
def test_every_system_answers_the_command_line(
    serving: Callable[..., httpx2.Client],
    teachers: dict[str, World],
    connect_to: Callable[[Artifact], TestClient],
    port: int,
    capsys: pytest.CaptureFixture[str],
    name: str,
    how: str,
) -> None:
    """A model could be trained and measured, and not asked: without a student, or at all."""
    world, value = teachers[name], {"rerank": 30, "mode": "binary"}[how]
    serving("fused", 2, served=world)
    url = f"http://127.0.0.1:{port}"
    main(["search", "dog jumps", "--k", "5", f"--{how}", str(value), "--url", url])
    shown = capsys.readouterr().out
    request = {"text": "dog jumps", "k": 5, how: value}
    hits = connect_to(world.index(2)).post("/v1/search", json=request).json()["hits"]
    places = [shown.index(hit["item_id"]) for hit in hits]
    assert places == sorted(places)
    assert world.index(2).id[:12] in shown


def test_command_line(
    serving: Callable[..., httpx2.Client], port: int, world: World,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`crossray serve INDEX --detach` and `crossray search` would not find each other."""
    index = world.index(2)
    command = [sys.executable, "-c", "from crossray.cli import main; main()", "serve", index.uri]
    options = ["--replicas", "1", "--port", str(port), "--detach"]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in (index.id[:12], f"http://127.0.0.1:{port}/", provide_token()):
        assert words in done.stdout
    main(["search", "dog", "--k", "3", "--url", f"http://127.0.0.1:{port}"])
    shown = capsys.readouterr().out
    assert index.id[:12] in shown
    assert shown.count("image") >= 3


def test_a_damaged_index(
    serving: Callable[..., httpx2.Client], world: World, tmp_path: Path
) -> None:
    """`crossray serve` would wait for ever, or show the tracebacks of its replicas."""
    damaged = tmp_path / "index"
    shutil.copytree(world.index(1).local(), damaged)
    (file,) = damaged.glob("shard-00/image/codes.faiss")
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(CrossRayError, match=r"did not start: shard 0 of \S+ is damaged"):
        deploy(ServingConfig(str(damaged), "fused", SMALL))


def processes(title: str) -> list[psutil.Process]:
    """The processes of this test's Ray whose command line has some words."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def replicas(name: str) -> list[psutil.Process]:
    """The processes of this test's Ray that are replicas of a deployment."""
    return processes(f"ray::ServeReplica:crossray:{name}")


class Load:
    """Clients with open connections that ask for one vector again and again."""

    def __init__(self, port: int, clients: int, request: dict[str, Any]) -> None:
        self.answers: list[httpx2.Response | httpx2.HTTPError] = []
        self._url, self._body = f"http://127.0.0.1:{port}/v1/search", json.dumps(request)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {provide_token()}", "Content-Type": "application/json"}
        with httpx2.Client(headers=headers, timeout=60) as client:
            while not self._stop.is_set():
                try:
                    self.answers.append(client.post(self._url, content=self._body))
                except httpx2.HTTPError as error:
                    self.answers.append(error)

    def check_log(self) -> None:
        """Every answer of a replica is in its log, but for those that it was giving at the kill."""
        logs = Path(ray._private.worker._global_node.get_logs_dir_path()) / "serve"
        lines = [line for log in logs.glob("replica_*") for line in log.read_text().splitlines()]
        # Shards and encoders log under the same id what the gateway asked of them.
        asked = [line for line in lines if " POST /v1/search " in line]
        told = {line.split(" -- ")[0].split()[-1]: line for line in asked}
        ids = [
            answer.headers["x-request-id"]
            for answer in self.answers
            if isinstance(answer, httpx2.Response) and answer.status_code == 200
        ]
        logged = [name for name in ids if name in told]
        assert len(ids) - len(logged) <= len(self._threads)
        line = told[logged[-1]]
        assert "127.0.0.1:" in line
        assert "POST /v1/search 200" in line

    def check(self, expected: list[tuple[float, str, str, int]]) -> None:
        """Every answer is right, or a problem that says when to try again."""
        for answer in self.answers:
            assert isinstance(answer, httpx2.Response), repr(answer)
            if answer.status_code == 200:
                assert told(answer.json()) == expected
                continue
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == 503


def under_load(
    world: World, port: int, victim: str, wanted: int, recovered: Callable[[], bool]
) -> None:
    """Kill a replica of a deployment while clients ask; no client may notice more than a 503."""
    side = world.side("image")
    vector_D, code_Y = side.vectors_ND[0].astype(np.float32), side.codes_NY[0]
    request = {
        "vector": vector_D.tolist(), "code": code_Y.tobytes().hex(),
        "mode": "rescore", "target": "any", "k": 7,
    }  # fmt: skip
    expected = world.expected("any", vector_D, code_Y, 7, "rescore")
    wait_for(lambda: len(replicas(victim)) == wanted)
    with Load(port, 8, request) as load:
        time.sleep(2)
        killed = min(process.pid for process in replicas(victim))
        os.kill(killed, signal.SIGKILL)
        wait_for(partial(_replaced, victim, killed, wanted), RECOVERY_SECONDS)
        wait_for(recovered, RECOVERY_SECONDS)
        answered = len(load.answers)
        wait_for(lambda: len(load.answers) > answered + 20)
    load.check_log()
    assert isinstance(load.answers[-1], httpx2.Response)
    assert load.answers[-1].status_code == 200
    load.check(expected)


def _replaced(victim: str, killed: int, wanted: int) -> bool:
    alive = {process.pid for process in replicas(victim)} - {killed}
    return len(alive) == wanted


@pytest.mark.parametrize("number", [2, 1])
def test_a_killed_replica(
    serving: Callable[..., httpx2.Client], world: World, port: int, number: int
) -> None:
    """A machine's out-of-memory killer would give clients wrong answers or broken connections."""
    client = serving("fused", 4, replicas=number)
    under_load(world, port, "Fused", number, lambda: client.get("/readyz").is_success)


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Addresses and ports on which a process takes connections; none once it has ended."""
    try:
        found = process.net_connections("tcp")
    except psutil.NoSuchProcess:
        return set()
    return {(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}


def test_who_reaches_the_endpoint(serving: Callable[..., httpx2.Client], port: int) -> None:
    """Others on the network, or other users of the machine, could read or redirect queries."""
    serving("fused", 4)

    def listens() -> list[psutil.Process]:
        return [one for one in processes("haproxy -db -f") if listening(one)]

    wait_for(lambda: len(listens()) == 1)  # one that was replaced may still answer
    (haproxy,) = listens()
    command = haproxy.cmdline()
    ports = listening(haproxy)
    assert ("127.0.0.1", port) in ports
    assert len(ports) == 3
    assert {address for address, _ in ports} == {"127.0.0.1"}
    assert not haproxy.net_connections("udp")
    folder = Path(command[command.index("-f") + 1]).parent
    for place, mode in ((folder, 0o700), (folder / "admin.sock", 0o600)):
        assert stat.S_IMODE(place.stat().st_mode) == mode
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            for address, number in listening(process):
                if address not in ("127.0.0.1", "::1"):
                    asked = "127.0.0.1" if address in ("0.0.0.0", "::") else address
                    assert not gives_the_page(asked, number), (process.name(), address, number)


def gives_the_page(address: str, port: int) -> bool:
    """Whether the endpoint itself answers there."""
    try:
        return "CrossRay" in httpx2.get(f"http://{address}:{port}/", timeout=5).text
    except httpx2.HTTPError:
        return False


def test_half_bodies_keep_nobody_out(serving: Callable[..., httpx2.Client], port: int) -> None:
    """A few hundred clients that stall would take all places, of the gateway's or of Ray's."""
    client = serving("fused", 4)
    head = (
        "POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {provide_token()}\r\nContent-Length: 900000\r\n\r\n"
    )
    with ExitStack() as stalled:
        for _ in range(250):  # more than HAProxy's buffers hold: the replica waits for the rest
            one = stalled.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            one.sendall(head.encode() + b" " * 150_000)

        def waiting() -> int:
            found = [one for each in replicas("Fused") for one in each.net_connections("tcp")]
            return sum(
                one.status == psutil.CONN_ESTABLISHED and 30_000 <= one.laddr.port < 31_000
                for one in found
            )

        wait_for(lambda: waiting() >= 250)
        answers = [client.post("/v1/search", json={"text": "dog"}) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert client.get("/readyz").status_code == 200


def test_a_killed_shard(serving: Callable[..., httpx2.Client], world: World, port: int) -> None:
    """While a shard restarts, answers would lack its items without saying so."""
    client = serving("fanout", 4)
    under_load(world, port, "Shard02", 1, lambda: client.get("/readyz").is_success)
