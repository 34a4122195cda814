"""What do clients see when a replica is killed?

    python benchmarks/replica_loss.py [--replicas 2] [--topology fanout] [--rows 2000] [--clients 8]

Clients ask an endpoint of made-up vectors (HAProxy on, a private Ray) again and again, a replica is
killed with SIGKILL (in `fanout` one of a shard), and they ask on until it is replaced. Prints,
last, one JSON object: the answers by status; `not_told`, answers that are neither right nor a
problem document with Retry-After; `slowest_s`, the longest time that any request took from the kill
on; `slowest_503_s`, the same of refusals; `gap_s`, from the kill to the last refusal.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import tyro

from crossray.serving.access_token import provide_token
from crossray.serving.config import Topology
from crossray.serving.lineage import open_lineage
from serving import HOST, Benchmark, Queries, endpoint


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent, how long it took, and what came back."""

    sent: float
    seconds: float
    status: int
    told: bool


@dataclass(frozen=True)
class ReplicaLoss:
    """Measure.

    Attributes:
        replicas: of each deployment before the kill.
        topology: of the endpoint.
        rows: vectors that are made up.
        clients: that ask at the same time.
        seconds: that they ask after the kill.
    """

    replicas: int = 1
    topology: Topology = "fused"
    rows: int = 2_000
    clients: int = 8
    seconds: float = 40.0

    def run(self) -> None:
        """Measure and print."""
        with tempfile.TemporaryDirectory() as scratch:
            made = Benchmark(rows=self.rows)
            made.make(Path(scratch))
            lineage = open_lineage(str(Path(scratch) / "index"))
            with endpoint(lineage, self.replicas, self.topology) as port:
                body = Queries.of(lineage).vector_bodies(10, "float")[0]
                found = asyncio.run(self._kill(port, body))
        print(json.dumps({"topology": self.topology, "replicas": self.replicas, **found}))

    async def _kill(self, port: int, body: bytes) -> dict[str, Any]:
        asked: list[Asked] = []
        end = time.monotonic() + self.seconds + 3
        asking = [asyncio.create_task(_ask(port, body, end, asked)) for _ in range(self.clients)]
        await asyncio.sleep(3)
        killed = time.monotonic()
        os.kill(_replica("Fused" if self.topology == "fused" else "Shard"), signal.SIGKILL)
        await asyncio.gather(*asking)
        after = [one for one in asked if one.sent + one.seconds >= killed]
        refused = [one for one in after if one.status == 503]
        return {
            "answers": dict(Counter(str(one.status) for one in after)),
            "not_told": sum(not one.told for one in after),
            "slowest_s": round(max(one.seconds for one in after), 2),
            "slowest_503_s": round(max((one.seconds for one in refused), default=0.0), 2),
            "gap_s": round(max((one.sent - killed for one in refused), default=0.0), 2),
        }


async def _ask(port: int, body: bytes, end: float, asked: list[Asked]) -> None:
    headers = {"Authorization": f"Bearer {provide_token()}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(headers=headers, timeout=120) as client:
        while (sent := time.monotonic()) < end:
            try:
                answer = await client.post(f"http://{HOST}:{port}/v1/search", content=body)
            except httpx2.HTTPError:
                asked.append(Asked(sent, time.monotonic() - sent, 0, False))
                continue
            problem = answer.headers["content-type"] == "application/problem+json"
            told = answer.status_code == 200 or (problem and "retry-after" in answer.headers)
            asked.append(Asked(sent, time.monotonic() - sent, answer.status_code, told))
            await asyncio.sleep(0.02)


def _replica(deployment: str) -> int:
    """The process of a replica of a deployment whose name begins so."""
    for process in psutil.Process().children(recursive=True):
        if f"ray::ServeReplica:crossray:{deployment}" in " ".join(process.cmdline()):
            return process.pid
    raise RuntimeError("no replica runs")


if __name__ == "__main__":
    tyro.cli(ReplicaLoss).run()
