"""Who holds the resources of the connected cluster."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from typing import Any, NamedTuple

import ray
from ray.util import state
from ray.util.state.common import JobState
from ray.util.state.exception import RayStateApiException

_LONGEST = 80
_REPLICA = "ServeReplica:"  # of an application and a deployment, parted by colons


class Holder(NamedTuple):
    """What somebody holds.

    Attributes:
        name: who.
        amount: of the resource.
        end: what frees it.
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
