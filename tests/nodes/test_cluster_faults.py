"""An endpoint on three machines: one is cut off and comes back, and the head starts anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crossray.serving.access_token import provide_token
from crossray.serving.haproxy import environment
from support.endpoint import DIM, World, make_world
from support.network import Network, can_build, network
from support.nodes import NOTICE, SECONDS, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not can_build(), reason="needs root and network namespaces"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server"),
]

BIN = Path(sys.executable).parent
GET = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": f"Bearer {sys.argv[2]}"})
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""
ASK = """
import json, sys, time, urllib.error, urllib.request
url, token, body = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
while True:
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            hits = [[hit["item_id"], hit["score"]] for hit in json.load(answer)["hits"]]
            told = {"status": answer.status, "hits": hits}
    except urllib.error.HTTPError as error:
        told = {"status": error.code, "retry": error.headers.get("Retry-After")}
    except OSError:
        told = {"status": 0}
    print(json.dumps({"at": time.time(), **told}), flush=True)
    time.sleep(0.05)
"""


@dataclass
class Machines:
    """A head and serving nodes, each with a network address of its own."""

    network: Network
    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def env(self, machine: str) -> dict[str, str]:
        """What all processes on a machine have in their environment."""
        own = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        return {
            **own,
            **environment(),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{BIN}:{own['PATH']}",
            "RAY_REDIS_ADDRESS": "10.213.0.1:6379",
            "RAY_TMPDIR": str(self.folder / machine),
        }

    def run(self, machine: str, *command: str) -> str:
        """Run a command on a machine, to its end."""
        done = subprocess.run(
            self.network.on(machine, *command), env=self.env(machine), timeout=SECONDS,
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout

    def start(self, machine: str) -> None:
        """Start Ray on it: on `head` a new head or the one that was, elsewhere a serving node."""
        address = self.addresses[machine]
        if machine == "head":
            own = [
                "--head",
                "--port=6379",
                f"--dashboard-host={address}",
                "--labels=crossray-role=head",
                f"--system-config={json.dumps(NOTICE)}",
            ]
        else:
            own = [f"--address={self.addresses['head']}:6379", "--labels=crossray-role=serve"]
        (self.folder / machine).mkdir(exist_ok=True)
        (self.folder / machine / "ray" / "ray_current_cluster").unlink(missing_ok=True)
        command = self.network.alone_on(
            machine, "ray", "start", "--block", f"--node-ip-address={address}",
            "--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", *own,
        )  # fmt: skip
        said = self.folder / f"{machine}.log"
        with said.open("wb") as stream:
            started = subprocess.Popen(
                command, env=self.env(machine), stdout=stream, stderr=subprocess.STDOUT
            )
        self.stack.callback(started.wait)

        def is_up() -> bool:
            assert started.poll() is None, said.read_text(encoding="utf-8")[-4000:]
            return "Ray runtime started" in said.read_text(encoding="utf-8")

        wait_for(is_up, f"Ray on {machine}")

    def replicas(self) -> dict[str, str]:
        """The running replicas, by the machine they are on; empty while nobody can tell."""
        url = f"http://{self.addresses['head']}:8265/api/serve/applications/"
        token = (Path.home() / ".ray" / "auth_token").read_text(encoding="ascii").strip()
        done = subprocess.run(
            self.network.on("hub", sys.executable, "-c", GET, url, token),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return {}
        names = {address: name for name, address in self.addresses.items()}
        deployments = json.loads(done.stdout)["applications"].get("crossray", {}).get("deployments")
        return {
            names[replica["node_ip"]]: replica["replica_id"]
            for deployment in (deployments or {}).values()
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        }

    @contextmanager
    def asked(self, vector: list[float]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """The same question all the time, from another machine; gives all answers up to now."""
        url = f"http://{self.addresses['head']}:8000/v1/search"
        body = json.dumps({"vector": vector, "k": 3, "target": "image"})
        told = self.folder / "answers.jsonl"

        def answers() -> list[dict[str, Any]]:
            whole, _, _ = told.read_text(encoding="utf-8").rpartition("\n")
            return [json.loads(line) for line in whole.splitlines()]

        with told.open("w", encoding="utf-8") as stream:
            command = self.network.on("hub", sys.executable, "-c", ASK, url, provide_token(), body)
            with subprocess.Popen(command, stdout=stream) as asking:
                try:
                    yield answers
                finally:
                    asking.terminate()


@pytest.fixture
def machines() -> Iterator[Machines]:
    """Three machines with Ray on them, and Redis outside of them."""
    with ExitStack() as stack:
        # Names of sockets have no room for the folders of pytest.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cr", dir="/tmp")))
        waits = stack.enter_context(ExitStack())  # for what the network ends when it goes
        lab = stack.enter_context(network())
        redis = ["redis-server", "--bind", "10.213.0.1", "--protected-mode", "no", "--save", "",
                 "--dir", str(folder)]  # fmt: skip
        store = stack.enter_context(
            subprocess.Popen(lab.on("hub", *redis), stdout=subprocess.DEVNULL)
        )
        stack.callback(store.terminate)
        cluster = Machines(lab, folder, stack=waits)
        for name in ("head", "first", "second"):
            cluster.addresses[name] = lab.add(name)
        for name in cluster.addresses:
            cluster.start(name)
        yield cluster


@pytest.fixture
def world(tmp_path: Path) -> World:
    """What is served."""
    return make_world(tmp_path)


def serve_config(index: str) -> dict[str, Any]:
    """A replica on each of two serving machines; the head only passes on."""
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "0.0.0.0", "port": 8000},
        "controller_options": {"runtime_env": {"env_vars": environment()}},
        "applications": [
            {
                "name": "crossray",
                "route_prefix": "/",
                "import_path": "crossray.serving.application:build",
                "args": {
                    "index": index,
                    "topology": "fused",
                    "replicas": {"min": 2, "max": 2, "cpus": 0.5, "per_node": 1},
                },
            }
        ],
    }


def test_a_machine_is_cut_off_and_the_head_starts_anew(machines: Machines, world: World) -> None:
    """Neither may give a wrong answer, and both must heal without a hand at the endpoint."""
    index = world.index(1)
    config = machines.folder / "serve.yaml"
    config.write_text(yaml.safe_dump(serve_config(index.uri)), encoding="utf-8")
    dashboard = f"http://{machines.addresses['head']}:8265"
    machines.run("head", "serve", "deploy", "--address", dashboard, str(config))
    both = {"first", "second"}
    wait_for(lambda: machines.replicas().keys() == both, "two replicas")
    vector_D = np.random.default_rng().standard_normal(DIM, np.float32)
    with machines.asked(vector_D.tolist()) as answers:
        # HAProxy hears of replicas some seconds after Ray does.
        wait_for(lambda: any(a["status"] == 200 for a in answers()), "the endpoint answers")
        ready = time.time()
        time.sleep(3)
        machines.network.cut("second")
        cut = time.time()
        out = wait_for(lambda: machines.replicas().keys() == {"first"}, "one is taken out")
        healed = time.time()
        time.sleep(5)
        machines.network.connect("second")
        machines.network.power_off("second")
        machines.start("second")
        back = wait_for(lambda: machines.replicas().keys() == both, "it returns")
        before = machines.replicas()
        time.sleep(3)
        beheaded = time.time()
        machines.network.power_off("head")
        machines.start("head")
        anew = wait_for(lambda: machines.replicas() == before, "the head knows its replicas")
        anew += wait_for(lambda: answers()[-1]["status"] == 200, "the endpoint answers")
        whole = time.time()
        time.sleep(3)
        told = answers()
    print(f"taken out {out:.1f} s, returned {back:.1f} s, head {anew:.1f} s")
    expected = [
        [item, pytest.approx(score, abs=1e-6)]
        for score, _, item, _ in world.expected(
            "image", vector_D, np.zeros(0, np.uint8), 3, "float"
        )
    ]
    for answer in told:
        if answer["status"] == 200:
            assert answer["hits"] == expected
    first = [a for a in told if ready <= a["at"] < cut]
    assert first
    assert all(a["status"] == 200 for a in first)
    lost = [a for a in told if cut <= a["at"] < healed + 1]
    assert all(a["status"] == 200 or (a["status"] == 503 and a["retry"]) for a in lost)
    calm = [a for a in told if healed + 1 <= a["at"] < beheaded]
    assert calm
    assert all(a["status"] == 200 for a in calm)
    afterwards = [a for a in told if a["at"] > whole]
    assert afterwards
    assert all(a["status"] == 200 for a in afterwards)
