"""A cluster whose cores somebody else holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group

from crossray.cluster import room
from crossray.cluster.room import Holder, holders


@contextmanager
def taken_cores(
    cpus: float, name: str = "Holder", grouped: float = 0.0
) -> Iterator[list[list[Holder]]]:
    """Cores are held until a run that waits has asked by whom; gives what such runs were told.

    `cpus` by an actor of a class with that name, `grouped` by a placement group.
    """
    told: list[list[Holder]] = []
    actor = ray.remote(num_cpus=cpus)(type(name, (), {"ready": lambda self: None})).remote()
    ray.get(actor.ready.remote())
    group = placement_group([{"CPU": grouped}]) if grouped else None
    assert group is None or group.wait(60)

    def leave() -> None:
        ray.kill(actor)
        if group is not None:
            remove_placement_group(group)

    def ask(resource: str) -> list[Holder]:
        told.append(holders(resource))
        leave()
        return told[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "SECONDS_OF_PATIENCE", 0.1)
        patch.setattr(room, "holders", ask)
        try:
            yield told
        finally:
            leave()
