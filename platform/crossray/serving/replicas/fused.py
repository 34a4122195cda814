"""The fused topology: gateway, encoder and all shards in one replica, which scale together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from crossray import index
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
from crossray.serving.backend import Query, stored_query
from crossray.serving.catalogue import Catalogue
from crossray.serving.config import ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.http.gateway import build_gateway
from crossray.serving.items import ServedItems
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.deployments import CONNECTIONS, device, options
from crossray.serving.searching import Searcher


class LocalBackend:
    """Encoder and shards in this process; work that blocks is done in threads."""

    def __init__(
        self, encoder: QueryEncoder, shards: Sequence[index.Shard], config: ServingConfig
    ) -> None:
        self._encoder, self._shards = encoder, shards
        self._pool = ThreadPoolExecutor(config.search_threads, thread_name_prefix="search")

    async def encode_text(self, text: str, represent: bool) -> Query:
        """See `Backend.encode_text`."""
        return await self._encoder.text(text, represent)

    async def encode_image(self, image: bytes, represent: bool) -> Query:
        """See `Backend.encode_image`."""
        return await self._encoder.image(image, represent)

    async def stored(
        self, modality: index.Modality, row: int, item_id: str, represent: bool
    ) -> Query:
        """See `Backend.stored`."""
        shard = self._shards[index.shard_of(item_id, len(self._shards))]
        return stored_query(shard, modality, row, represent)

    async def search(
        self, modality: index.Modality, query: Query, options: index.SearchOptions
    ) -> index.Hits:
        """See `Backend.search`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool,
            index.search_shards,
            self._shards,
            modality,
            query.vector_D[None],
            query.code_Y[None],
            options,
        )

    async def scores(self, modality: index.Modality, query: Query, rows: Sequence[int]) -> Floats:
        """See `Backend.scores`."""
        assert query.parts is not None

        def candidates() -> list[Parts]:
            found: dict[int, Parts] = {}
            for shard in self._shards:
                found |= shard.represented(modality, rows)
            return [found[row] for row in rows]

        read = await asyncio.get_running_loop().run_in_executor(self._pool, candidates)
        return await self._encoder.scores(query.parts, modality, read)

    async def ready(self) -> bool:
        """The threads still take work."""
        await self._encoder.alive()
        await asyncio.get_running_loop().run_in_executor(self._pool, int)
        return True


@serve.ingress()
class Fused:
    """A replica that answers everything by itself."""

    def __init__(self, config: ServingConfig, token_digest: str) -> None:
        lineage = open_lineage(config.index)
        encoder = QueryEncoder(lineage, config, device(config.replicas))
        self._backend = LocalBackend(encoder, index.load_shards(lineage.index), config)
        catalogue = Catalogue(lineage.index, ServedItems(lineage.pairs))
        searcher = Searcher(self._backend, catalogue, lineage, config.limits)
        self._app = build_gateway(searcher, config.limits, token_digest)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application that Ray Serve puts behind this replica's port."""
        return self._app

    async def check_health(self) -> None:
        """Ray Serve restarts the replica when its threads no longer take work."""
        await self._backend.ready()


def fused(config: ServingConfig, token_digest: str) -> Application:
    """The application; `config.index` is an absolute path or URI."""
    given = options(config.replicas, config.limits, reading=CONNECTIONS)
    deployment = serve.deployment(name="Fused", **given)
    application: Application = deployment(Fused).bind(config, token_digest)
    return application
