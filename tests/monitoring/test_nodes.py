"""Nodes are counted by kind and state."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ray.core.generated.common_pb2 import NodeDeathInfo

from crossray.monitoring.nodes import count

REASONS = {
    "UNSPECIFIED": "ended",
    "EXPECTED_TERMINATION": "ended",
    "UNEXPECTED_TERMINATION": "lost",
    "AUTOSCALER_DRAIN_PREEMPTED": "lost",
    "AUTOSCALER_DRAIN_IDLE": "ended",
}


def node(labels: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    """What `ray.nodes()` says of a node; `reason`: of its death."""
    return {
        "Alive": reason is None,
        "Labels": labels,
        "DeathReason": NodeDeathInfo.Reason.Value(reason or "UNSPECIFIED"),
    }


@pytest.mark.parametrize("reason", REASONS)
def test_what_was_lost_is_told_from_what_was_given_back(reason: str) -> None:
    """A cluster that shrinks when it is idle would look like one that loses its spot machines."""
    kind = {"crossray-role": "train", "ray.io/node-group": "train_a100_40g_spot"}
    counts = count([node(kind, reason), node(kind)])
    expected = {"alive": 1, "lost": 0, "ended": 0}
    expected[REASONS[reason]] += 1
    assert counts == {("train", "train_a100_40g_spot"): expected}


def test_all_reasons_are_known() -> None:
    """A new reason of Ray's would be counted as something that it is not."""
    assert set(NodeDeathInfo.Reason.keys()) == set(REASONS)


def test_kinds_are_counted_apart() -> None:
    """A lost training machine would be booked on the machines that serve."""
    rng = random.Random()
    nodes, expected = [], {}
    for role in ("train", "serve", None):
        for group in ("spot", None):
            labels = {"crossray-role": role, "ray.io/node-group": group}
            alive, lost = rng.randrange(1, 5), rng.randrange(5)
            own = {name: value for name, value in labels.items() if value}
            nodes += [node(own)] * alive + [node(own, "UNEXPECTED_TERMINATION")] * lost
            states = {"alive": alive, "lost": lost, "ended": 0}
            expected[role or "any", group or "none"] = states
    rng.shuffle(nodes)
    assert count(nodes) == expected
    assert count([]) == {}
