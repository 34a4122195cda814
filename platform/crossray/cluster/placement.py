"""Which nodes of a cluster do which work: by their label `crossray-role`, where they have one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import ray
import yaml

from crossray.core.errors import CrossRayError

ROLE = "crossray-role"
Role = Literal["train", "serve"]
_LAUNCHED = "~/ray_bootstrap_config.yaml"  # `ray up` leaves it on the head node


def role_selector(role: Role) -> dict[str, str]:
    """Ray's label selector of the nodes that do this work.

    Empty, which is any node, on a cluster of which no node has a role, such as a laptop, and
    where no cluster is connected.

    Raises:
        CrossRayError: nodes have roles, none has this one, and none with it can be added.
    """
    nodes: list[dict[str, Any]] = ray.nodes() if ray.is_initialized() else []  # type: ignore[no-untyped-call]
    roles = {node["Labels"].get(ROLE) for node in nodes if node["Alive"]} - {None}
    if not roles:
        return {}
    if role not in roles | _roles_to_come():
        raise CrossRayError(
            f"no node of the cluster has the label {ROLE}={role}, only "
            f"{', '.join(sorted(map(str, roles)))}; start one with "
            f"`ray start --labels={ROLE}={role}`, or add it to a node type of cluster.yaml."
        )
    return {ROLE: role}


def adds_nodes() -> bool:
    """Whether an autoscaler can add nodes to this cluster on demand."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or Path(_LAUNCHED).expanduser().is_file()


def _roles_to_come() -> set[str]:
    """The roles of nodes that an autoscaler adds on demand."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:  # the operator's node groups are not seen from here
        return {"train", "serve"}
    if not adds_nodes():
        return set()
    launched = Path(_LAUNCHED).expanduser()
    types = yaml.safe_load(launched.read_text(encoding="utf-8"))["available_node_types"]
    return {kind["labels"][ROLE] for kind in types.values() if ROLE in kind.get("labels", {})}
