"""What the gateway of the fan-out topology makes of parts that are slow, lost or dying."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from crossray.core.errors import CrossRayError
from crossray.serving.backend import Refusal
from crossray.serving.problem import Problem
from crossray.serving.replicas import gateway_replica as remote
from crossray.serving.replicas.gateway_replica import RemoteBackend


def part(**methods: Callable[..., Any]) -> Any:
    """What stands for the handle of a deployment with these methods."""
    handles = {name: SimpleNamespace(remote=method) for name, method in methods.items()}
    return SimpleNamespace(**handles)


async def never(*_: Any) -> None:
    """A question that Ray keeps, since no replica is there."""
    await asyncio.Event().wait()


async def there() -> bool:
    """A replica that answers whether it is there."""
    return True


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not wait as long as clients."""
    monkeypatch.setattr(remote, "_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(remote, "_PROBE_SECONDS", 0.05)
    monkeypatch.setattr(remote, "_READY_SECONDS", 0.05)


def asked(encoder: Any) -> Any:
    """A text query to an endpoint with this encoder."""
    return asyncio.run(asyncio.wait_for(RemoteBackend(encoder, []).encode_text("dog", False), 20))


def test_a_part_without_a_replica_is_given_up() -> None:
    """Every client would wait until its search times out, half a minute."""
    with pytest.raises(Problem) as caught:
        asked(part(encode_text=never, ready=never))
    assert caught.value.document.status == 503
    assert "retry-after" in caught.value.response().headers


def test_a_part_that_works_long_is_waited_for() -> None:
    """A large batch before it would make a query fail that only needs time."""
    probes = 0

    async def probed() -> bool:
        nonlocal probes
        probes += 1
        return True

    async def slow(text: str, represent: bool) -> tuple[str, bool, None]:
        while probes < 3:
            await asyncio.sleep(0.001)
        return text, represent, None

    assert asked(part(encode_text=slow, ready=probed))[:2] == ("dog", False)
    assert probes >= 3


def test_a_replica_that_dies_is_asked_about_once_more() -> None:
    """One replica's end would be an error although another one is there."""
    deaths = 1

    async def dying(text: str, represent: bool) -> tuple[str, bool, None]:
        nonlocal deaths
        if deaths:
            deaths -= 1
            raise ActorDiedError
        return text, represent, None

    encoder = part(encode_text=dying, ready=there)
    assert asked(encoder)[0] == "dog"
    deaths = 2
    with pytest.raises(Problem, match="does not answer"):
        asked(encoder)


def test_a_refusal_is_the_clients() -> None:
    """A query at fault would look like an endpoint at fault, and be sent again and again."""

    async def refusing(*_: Any) -> Refusal:
        return Refusal("it has no words.")

    with pytest.raises(CrossRayError, match="no words"):
        asked(part(encode_text=refusing, ready=there))


@pytest.mark.parametrize("answers", [True, False])
def test_ready_says_whether_every_part_answers(answers: bool) -> None:
    """An operator would send queries to an endpoint of which a part is missing."""
    shard = part(ready=there if answers else never)
    backend = RemoteBackend(part(ready=there), [part(ready=there), shard])
    assert asyncio.run(backend.ready()) is answers
