"""How many nodes of each kind live and were lost, which none of Ray's metrics shows.

`python -m crossray.monitoring.nodes` counts them for as long as the cluster lives, where
`crossray dashboards`, which does so too, does not run.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray.util.metrics import Gauge

from crossray.cluster.placement import ROLE
from crossray.cluster.ray_private import LOST_NODE
from crossray.monitoring.connection import connect

SECONDS = 5.0
STATES = ("alive", "lost", "ended")
# The node type of `ray up` and the worker group of KubeRay, where one of them started the node.
_GROUP = "ray.io/node-group"
NodeKind = tuple[str, str]


def count(nodes: Iterable[Mapping[str, Any]]) -> dict[NodeKind, dict[str, int]]:
    """Nodes (as `ray.nodes()` gives them) by role and group, and then by state.

    A node without a role is of the role `any`, one that was started by hand of the group `none`.
    """
    counts: dict[NodeKind, dict[str, int]] = collections.defaultdict(
        lambda: dict.fromkeys(STATES, 0)
    )
    for node in nodes:
        labels = node["Labels"]
        kind = labels.get(ROLE, "any"), labels.get(_GROUP, "none")
        counts[kind][_state(node)] += 1
    return dict(counts)


def _state(node: Mapping[str, Any]) -> str:
    if node["Alive"]:
        return "alive"
    return "lost" if node["DeathReason"] in LOST_NODE else "ended"


class NodeCounts:
    """Gauges, which exist for as long as this process lives."""

    def __init__(self) -> None:
        self._gauge = Gauge(
            "crossray_nodes", "Nodes by kind and state.", ("role", "group", "state")
        )

    def update(self) -> None:
        """Count the nodes of the cluster that this process is connected to."""
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        for (role, group), states in count(nodes).items():
            for state, number in states.items():
                self._gauge.set(number, {"role": role, "group": group, "state": state})


def main() -> None:
    """Count until the process is ended."""
    connect()
    counts = NodeCounts()
    while True:
        counts.update()
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
