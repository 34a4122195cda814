"""Room for a run on the cluster: where it finds none, it says who takes what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ray
from ray.util.placement_group import placement_group, remove_placement_group
from rich.console import Console

from crossray.cluster.holders import holders
from crossray.cluster.placement import ROLE, Role, adds_nodes, role_selector
from crossray.core.errors import CrossRayError

SECONDS_OF_PATIENCE = 10.0
ALONE = "run it with RAY_ADDRESS=local, on this machine alone"
_SECONDS_BETWEEN_LOOKS = 60.0


@dataclass(frozen=True)
class Need:
    """Worker processes that a run cannot begin without.

    Attributes:
        workers: how many, all at the same time.
        each: what one of them reserves, such as `{"CPU": 1}`; it is whole on one node.
        role: of the nodes that they run on; None for any node.
        advice: how to ask for less.
        placement: on as few nodes as possible, or spread over as many.
    """

    workers: int
    each: Mapping[str, float]
    role: Role | None
    advice: str
    placement: Literal["PACK", "SPREAD"] = "PACK"

    def __str__(self) -> str:
        several = self.workers > 1
        what = " and ".join(_amount(name, value) for name, value in self.each.items())
        return f"{self.workers} worker{'s' * several} of {what}{' each' * several}"


def wait_for_room(need: Need) -> None:
    """Return when the connected cluster has room for the workers.

    Says on stderr, once, what is taken by whom where that takes longer than some seconds.

    Raises:
        CrossRayError: the cluster would have no room if it did nothing else, and adds no nodes.
    """
    selector = {} if need.role is None else role_selector(need.role)
    nodes = node_resources(selector)
    if (places := places_for(need.each, nodes)) < need.workers and not adds_nodes():
        raise CrossRayError(
            f"the run needs {need}, and the cluster has room for {places} even when nothing else "
            f"runs; {need.advice}, or add nodes."
        )
    # Ray queues it behind those who asked before, and an autoscaler adds nodes for it.
    group = placement_group(
        [dict(need.each)] * need.workers,
        need.placement,
        bundle_label_selector=[selector] * need.workers,
    )
    try:
        if group.wait(SECONDS_OF_PATIENCE):
            return
        Console(stderr=True, soft_wrap=True).print(
            _waits(need, nodes), style="yellow", highlight=False, markup=False
        )
        while not group.wait(_SECONDS_BETWEEN_LOOKS):
            pass
    finally:
        remove_placement_group(group)


def node_resources(selector: Mapping[str, str]) -> list[Mapping[str, float]]:
    """What each living node with these labels has, taken or not."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [
        node["Resources"]
        for node in nodes
        if node["Alive"] and (not selector or node["Labels"].get(ROLE) == selector[ROLE])
    ]


def places_for(each: Mapping[str, float], nodes: Iterable[Mapping[str, float]]) -> int:
    """How many workers that reserve so much fit on nodes with these resources."""
    return sum(
        min(int(node.get(name, 0) / value) for name, value in each.items()) for node in nodes
    )


def _waits(need: Need, nodes: Iterable[Mapping[str, float]]) -> str:
    """Who takes the scarcest of what the workers need."""
    name = "GPU" if "GPU" in need.each else "CPU"
    found = holders(name)
    if not found:
        return (
            f"the run needs {need} and waits for room; see with `ray status` what is taken and "
            f"asked for, or {need.advice}."
        )
    total = _amount(name, sum(node.get(name, 0) for node in nodes))
    taken = sum(holder.amount for holder in found)
    by = ", ".join(f"{holder.amount:g} by {holder.name}" for holder in found)
    ends = " or ".join(dict.fromkeys(holder.end for holder in found))
    return (
        f"the run needs {need} and waits, because {taken:g} of {total} are taken: {by}; make room "
        f"with {ends}, or {need.advice}."
    )


def _amount(name: str, value: float) -> str:
    return f"{value:g} {name}{'s' * (value != 1)}"
