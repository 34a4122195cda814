"""Encoder and shards in deployments of their own: the backend of the fan-out topology.

Deployments talk through Ray Serve's handles. What a client sent travels in them as plain text and
bytes between processes of this application; nothing that a client sent is ever unpickled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ray.exceptions import RayActorError, TaskCancelledError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from crossray.core.errors import CrossRayError
from crossray.index import Hits, Modality, Mode, merge, merge_candidates, shard_of
from crossray.index.arrays import Floats
from crossray.index.queries import candidates_for
from crossray.index.representations import Parts
from crossray.serving.problem import Problem, unavailable
from crossray.serving.query import Query, Refusal

_PROBE_SECONDS = 5.0
# What Ray raises when a replica has died, is not there yet or has too much to do.
_LOST = (RayActorError, RayServeException, TaskCancelledError)


class RemoteBackend:
    """See `Backend`; asks every shard's deployment and merges."""

    def __init__(
        self, encoder: DeploymentHandle[Any], shards: Sequence[DeploymentHandle[Any]]
    ) -> None:
        self._encoder, self._shards = encoder, shards

    async def encode_text(self, text: str, represent: bool) -> Query:
        """See `Backend.encode_text`."""
        return Query(*await _ask(lambda: self._encoder.encode_text.remote(text, represent)))

    async def encode_image(self, image: bytes, represent: bool) -> Query:
        """See `Backend.encode_image`."""
        return Query(*await _ask(lambda: self._encoder.encode_image.remote(image, represent)))

    async def stored(self, modality: Modality, row: int, item_id: str, represent: bool) -> Query:
        """See `Backend.stored`."""
        shard = self._shards[shard_of(item_id, len(self._shards))]
        return Query(*await _ask(lambda: shard.stored.remote(modality, row, represent)))

    async def search(self, modality: Modality, query: Query, k: int, mode: Mode) -> Hits:
        """See `Backend.search`."""
        vector_QD, code_QY = query.vector_D[None], query.code_Y[None]
        if mode == "rescore":
            wanted = candidates_for(k, None)
            found = await self._each(
                lambda shard: shard.candidates.remote(modality, vector_QD, code_QY, wanted)
            )
            return merge_candidates(found, wanted, k)
        found = await self._each(
            lambda shard: shard.search.remote(modality, vector_QD, code_QY, k, mode)
        )
        return merge(found, k)

    async def scores(self, modality: Modality, query: Query, rows: Sequence[int]) -> Floats:
        """See `Backend.scores`."""
        found: dict[int, Parts] = {}
        for part in await self._each(lambda shard: shard.represented.remote(modality, rows)):
            found |= part
        candidates = [found[row] for row in rows]
        scores_C: Floats = await _ask(
            lambda: self._encoder.scores.remote(query.parts, modality, candidates)
        )
        return scores_C

    async def ready(self) -> bool:
        """Every deployment answers within some seconds."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await _ask(lambda: self._encoder.ready.remote())
                await self._each(lambda shard: shard.ready.remote())
        except (TimeoutError, Problem):
            return False
        return True

    async def _each(self, call: Callable[[DeploymentHandle[Any]], Any]) -> list[Any]:
        return await asyncio.gather(*(_ask(partial(call, shard)) for shard in self._shards))


async def _ask(call: Callable[[], Any]) -> Any:
    """The answer of a deployment; a replica that died under the question is asked about once more.

    Questions change nothing, so a second one is harmless. Raises what `Backend` says.
    """
    try:
        try:
            answer = await call()
        except RayActorError:
            answer = await call()
    except _LOST:
        raise unavailable("A part of the endpoint does not answer; try again soon.") from None
    if isinstance(answer, Refusal):
        raise CrossRayError(answer.sentence)
    return answer
