"""A replica of the fan-out topology that takes requests; it knows no model and loads no torch."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from crossray.serving.catalogue import Catalogue
from crossray.serving.config import ServingConfig
from crossray.serving.http.gateway import build_gateway
from crossray.serving.items import Items
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.remote import RemoteBackend
from crossray.serving.searching import Searcher


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
        catalogue = Catalogue(lineage.index, Items(lineage.pairs))
        backend = RemoteBackend(encoder, shards)
        searcher = Searcher(backend, catalogue, lineage, config.limits)
        self._app = build_gateway(searcher, config.limits, token_digest)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """The application that Ray Serve puts behind this replica's port."""
        return self._app
