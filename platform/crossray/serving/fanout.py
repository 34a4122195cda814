"""The fan-out topology: a gateway, encoders, and one deployment a shard.

A shard is a deployment, never a replica's rank: ranks change when replicas come and go.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application, Deployment
from ray.serve.handle import DeploymentHandle

from crossray.serving.catalogue import Catalogue
from crossray.serving.config import Replicas, ServingConfig
from crossray.serving.deployments import options
from crossray.serving.encoder_replica import EncoderReplica
from crossray.serving.gateway import build_gateway
from crossray.serving.items import Items
from crossray.serving.lineage import open_lineage
from crossray.serving.remote import RemoteBackend
from crossray.serving.searching import Searcher
from crossray.serving.shard_replica import ShardReplica


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


def fanout(config: ServingConfig, token_digest: str) -> Application:
    """The application; `config.index` is an absolute path or URI."""
    encoder = _deployment(EncoderReplica, "Encoder", config.encoders, config).bind(config)
    shards = [
        _deployment(ShardReplica, f"Shard{n:02d}", config.shards, config).bind(config, n)
        for n in range(open_lineage(config.index).shards)
    ]
    gateway = _deployment(Gateway, "Gateway", config.replicas, config)
    application: Application = gateway.bind(config, token_digest, encoder, *shards)
    return application


def _deployment(cls: type, name: str, replicas: Replicas, config: ServingConfig) -> Deployment:
    deployment: Deployment = serve.deployment(name=name, **options(replicas, config.limits))(cls)
    return deployment
