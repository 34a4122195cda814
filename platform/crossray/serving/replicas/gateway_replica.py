"""A replica of the fan-out topology that takes requests; it knows no model and loads no torch.

Deployments talk through Ray Serve's handles. What a client sent travels in them as plain text and
bytes between processes of this application; nothing that a client sent is ever unpickled.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError, TaskCancelledError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from crossray.core.errors import CrossRayError
from crossray.index import Hits, Modality, SearchOptions, merge_found, shard_of
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
from crossray.serving.backend import Query, Refusal
from crossray.serving.catalogue import Catalogue
from crossray.serving.config import ServingConfig
from crossray.serving.http.gateway import build_gateway
from crossray.serving.items import ServedItems
from crossray.serving.lineage import open_lineage
from crossray.serving.problem import unavailable
from crossray.serving.searching import Searcher

_READY_SECONDS = 5.0
# Ray keeps a request until a replica is there. Where no answer comes within the first time, a probe
# asks whether the deployment is there, which any but a lost one answers within the second.
_PATIENCE_SECONDS, _PROBE_SECONDS = 0.3, 0.6
# What Ray raises when a replica has died, is not there yet or has too much to do.
_LOST = (RayActorError, RayServeException, TaskCancelledError)


@serve.ingress()
class Gateway:
    """A replica that takes requests and asks the other deployments."""

    def __init__(
        self,
        config: ServingConfig,
        token_digest: str,
        encoder: DeploymentHandle[Any],
        *shards: DeploymentHandle[Any],
    ) -> None:
        lineage = open_lineage(config.index)
        catalogue = Catalogue(lineage.index, ServedItems(lineage.pairs))
        backend = RemoteBackend(encoder, shards)
        searcher = Searcher(backend, catalogue, lineage, config.limits)
        self._app = build_gateway(searcher, config.limits, token_digest)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application that Ray Serve puts behind this replica's port."""
        return self._app


class RemoteBackend:
    """See `Backend`: asks the deployments of the encoder and of every shard, and merges."""

    def __init__(
        self, encoder: DeploymentHandle[Any], shards: Sequence[DeploymentHandle[Any]]
    ) -> None:
        self._encoder, self._shards = encoder, shards

    async def encode_text(self, text: str, represent: bool) -> Query:
        """See `Backend.encode_text`."""
        return Query(*await _ask(self._encoder, "encode_text", text, represent))

    async def encode_image(self, image: bytes, represent: bool) -> Query:
        """See `Backend.encode_image`."""
        return Query(*await _ask(self._encoder, "encode_image", image, represent))

    async def stored(self, modality: Modality, row: int, item_id: str, represent: bool) -> Query:
        """See `Backend.stored`."""
        shard = self._shards[shard_of(item_id, len(self._shards))]
        return Query(*await _ask(shard, "stored", modality, row, represent))

    async def search(self, modality: Modality, query: Query, options: SearchOptions) -> Hits:
        """See `Backend.search`."""
        vector_QD, code_QY = query.vector_D[None], query.code_Y[None]
        found = await self._each("found", modality, vector_QD, code_QY, options)
        return merge_found(found, options)

    async def scores(self, modality: Modality, query: Query, rows: Sequence[int]) -> Floats:
        """See `Backend.scores`."""
        found: dict[int, Parts] = {}
        for part in await self._each("represented", modality, rows):
            found |= part
        candidates = [found[row] for row in rows]
        scores_C: Floats = await _ask(self._encoder, "scores", query.parts, modality, candidates)
        return scores_C

    async def ready(self) -> bool:
        """Every deployment answers within some seconds."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                parts = (self._encoder, *self._shards)
                await asyncio.gather(*(_answer(part, "ready") for part in parts))
        except (TimeoutError, *_LOST):
            return False
        return True

    async def _each(self, method: str, *arguments: Any) -> list[Any]:
        return await asyncio.gather(*(_ask(shard, method, *arguments) for shard in self._shards))


async def _ask(deployment: DeploymentHandle[Any], method: str, *arguments: Any) -> Any:
    """The answer of a deployment, however long it works on it; raises what `Backend` says.

    A deployment without a replica is given up within a second.
    """
    answering = asyncio.ensure_future(_answer(deployment, method, *arguments))
    try:
        while not (await asyncio.wait({answering}, timeout=_PATIENCE_SECONDS))[0]:
            async with asyncio.timeout(_PROBE_SECONDS):
                await _answer(deployment, "ready")
        answer = await answering
    except (TimeoutError, *_LOST):
        raise unavailable("A part of the endpoint does not answer; try again soon.") from None
    finally:
        answering.cancel()
    if isinstance(answer, Refusal):
        raise CrossRayError(answer.sentence)
    return answer


async def _answer(deployment: DeploymentHandle[Any], method: str, *arguments: Any) -> Any:
    """The answer of a replica; asked once more where the replica died.

    A request changes nothing, so that repeating it is harmless.
    """
    try:
        return await getattr(deployment, method).remote(*arguments)
    except RayActorError:
        return await getattr(deployment, method).remote(*arguments)
