"""The fan-out topology: a gateway, encoders, and one deployment a shard.

A shard is a deployment, never a replica's rank: ranks change when replicas come and go.
"""

from __future__ import annotations

from ray import serve
from ray.serve import Application, Deployment

from crossray.serving.config import Replicas, ServingConfig
from crossray.serving.lineage import open_lineage
from crossray.serving.replicas.deployments import CONNECTIONS, options
from crossray.serving.replicas.encoder_replica import EncoderReplica
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
    own = options(replicas, config.limits, reading)
    deployment: Deployment = serve.deployment(name=name, **own)(cls)
    return deployment
