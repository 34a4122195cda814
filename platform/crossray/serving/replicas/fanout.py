"""The fan-out topology: a gateway, encoders, and one deployment a shard.

A shard is a deployment, never a replica's rank: ranks change when replicas come and go.
"""

from __future__ import annotations

from collections.abc import Sequence

from ray import serve
from ray.serve import Application, Deployment

from crossray.core.errors import CrossRayError
from crossray.index import Modality
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
from crossray.serving.backend import Query, Refusal
from crossray.serving.config import Replicas, ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.deployments import CONNECTIONS, device, options
from crossray.serving.replicas.gateway_replica import Gateway
from crossray.serving.replicas.shard_replica import ShardReplica


def fanout(config: ServingConfig, token_digest: str) -> Application:
    """The application; `config.index` is an absolute path or URI."""
    encoder = _deployment(EncoderReplica, "Encoder", config.encoders, config).bind(config)
    shards = [
        _deployment(ShardReplica, f"Shard{n:02d}", config.shards, config).bind(config, n)
        for n in range(open_lineage(config.index).shards)
    ]
    gateway = _deployment(Gateway, "Gateway", config.replicas, config, reading=CONNECTIONS)
    application: Application = gateway.bind(config, token_digest, encoder, *shards)
    return application


def _deployment(
    cls: type, name: str, replicas: Replicas, config: ServingConfig, reading: int = 0
) -> Deployment:
    given = options(replicas, config.limits, reading)
    deployment: Deployment = serve.deployment(name=name, **given)(cls)
    return deployment


class EncoderReplica:
    """Encodes queries in batches, and scores candidates of one query at a time."""

    def __init__(self, config: ServingConfig) -> None:
        lineage = open_lineage(config.index)
        self._encoder = QueryEncoder(lineage, config, device(config.encoders))

    async def encode_text(self, text: str, represent: bool) -> Query | Refusal:
        """A text as a query."""
        try:
            return await self._encoder.text(text, represent)
        except CrossRayError as error:
            return Refusal(str(error))

    async def encode_image(self, image: bytes, represent: bool) -> Query | Refusal:
        """An encoded image as a query."""
        try:
            return await self._encoder.image(image, represent)
        except CrossRayError as error:
            return Refusal(str(error))

    async def scores(self, query: Parts, target: Modality, candidates: Sequence[Parts]) -> Floats:
        """The model's full scores of a query with candidates of the other modality."""
        return await self._encoder.scores(query, target, candidates)

    async def ready(self) -> bool:
        """Answers when the model is loaded."""
        return True

    async def check_health(self) -> None:
        """Ray Serve restarts the replica when its thread no longer takes work."""
        await self._encoder.alive()
