"""The fused topology: gateway, encoder and all shards in one replica, which scales as a whole."""

from __future__ import annotations

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from crossray.index import load_shards
from crossray.serving.catalogue import Catalogue
from crossray.serving.config import ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.http.gateway import build_gateway
from crossray.serving.items import Items
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.deployments import CONNECTIONS, device, options
from crossray.serving.replicas.local import LocalBackend
from crossray.serving.searching import Searcher


@serve.ingress()
class Fused:
    """A replica that answers everything by itself."""

    def __init__(self, config: ServingConfig, token_digest: str) -> None:
        lineage = open_lineage(config.index)
        encoder = QueryEncoder(lineage, config, device(config.replicas))
        self._backend = LocalBackend(encoder, load_shards(lineage.index), config)
        catalogue = Catalogue(lineage.index, Items(lineage.pairs))
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
    own = options(config.replicas, config.limits, reading=CONNECTIONS)
    deployment = serve.deployment(name="Fused", **own)
    application: Application = deployment(Fused).bind(config, token_digest)
    return application
