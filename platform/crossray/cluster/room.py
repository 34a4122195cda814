"""Wait until the cluster has room for a run, and say who holds its resources."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import ray
from ray.util import state
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.state.common import JobState
from ray.util.state.exception import RayStateApiException
from rich.console import Console

from crossray.cluster.placement import ROLE, Role, adds_nodes, role_selector
from crossray.core.errors import CrossRayError

SECONDS_OF_PATIENCE = 10.0
ALONE = "run it with RAY_ADDRESS=local, on this machine alone"
_SECONDS_BETWEEN_LOOKS = 60.0
_LONGEST = 80
_REPLICA = "ServeReplica:"  # of an application and a deployment, separated by colons


@dataclass(frozen=True)
class Need:
    """Worker processes that a run cannot begin without.

    Attributes:
        workers: how many, all at the same time.
        each: what one of them reserves, such as `{"CPU": 1}`; all of it on one node.
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
    """The resources of each living node with these labels, free or in use."""
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
    """The sentence on who holds the scarcest resource that the workers need."""
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


class Holder(NamedTuple):
    """A holder of a resource.

    Attributes:
        name: for a reader at a terminal.
        amount: of the resource.
        end: the command or event that frees it.
    """

    name: str
    amount: float
    end: str


def holders(resource: str) -> list[Holder]:
    """Who holds how much of a resource (`CPU`, `GPU`), the largest first.

    Empty where the cluster runs without its dashboard, which alone knows.
    """
    address = ray.get_runtime_context().gcs_address
    options: dict[str, Any] = {"limit": 10_000, "raise_on_missing_output": False, "detail": True}
    try:
        actors = state.list_actors(address, [("state", "=", "ALIVE")], **options)
        groups = state.list_placement_groups(address, [("state", "=", "CREATED")], **options)
        tasks = state.list_tasks(address, [("state", "=", "RUNNING")], **options)
        jobs = {job.job_id: job for job in state.list_jobs(address, **options)}
    except (RayStateApiException, ConnectionError):
        return []
    held: dict[tuple[str, str], float] = defaultdict(float)
    for group in groups:
        for bundle in group.bundles or ():
            who = _job(jobs.get(group.creator_job_id), "placement group", group.placement_group_id)
            held[who] += bundle["unit_resources"].get(resource, 0.0)
    for actor in actors:  # what runs in a placement group names that group's resources
        who = _job(jobs.get(actor.job_id), "actor", actor.name or actor.class_name)
        if actor.class_name.startswith(_REPLICA):
            who = (f"the endpoint {actor.class_name.split(':')[1]}", "`serve shutdown -y`")
        held[who] += (actor.required_resources or {}).get(resource, 0.0)
    for task in tasks:
        who = _job(jobs.get(task.job_id), "task", task.name)
        if task.type == "NORMAL_TASK":
            held[who] += (task.required_resources or {}).get(resource, 0.0)
    found = [Holder(name, amount, end) for (name, end), amount in held.items() if amount]
    return sorted(found, key=lambda holder: (-holder.amount, holder.name))


def _job(job: JobState | None, kind: str, name: str) -> tuple[str, str]:
    """The job that holds something, and what ends it; without a job that runs, what is held."""
    if job is None or job.status != "RUNNING":
        return f"the {kind} {name} of a job that is over", f"the removal of {name}"
    command = textwrap.shorten(job.entrypoint or "", _LONGEST, placeholder=" ...")
    if job.submission_id is not None:
        return f"the job {job.submission_id} ({command})", f"`ray job stop {job.submission_id}`"
    pid = job.driver_info.pid if job.driver_info is not None else "?"
    return f"the process {pid} ({command})", f"`kill {pid}`"
