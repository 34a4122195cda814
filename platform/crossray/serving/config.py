"""What is served and how: one configuration for both topologies."""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from crossray.core.config import Config
from crossray.core.errors import CrossRayError

Topology = Literal["fused", "fanout"]
_LONGEST = 35.0  # less than HAProxy's timeout for a replica
_RANGE = re.compile(r"(\d+)(?:\.\.(\d+))?")


@dataclass(frozen=True)
class Replicas(Config):
    """How many replicas a deployment has and what Ray reserves for each.

    Attributes:
        min: replicas that always run.
        max: replicas under load.
        cpus: cores that Ray keeps for each; by default none, since an endpoint waits most of its
            time, and training on the same machine needs whole cores. Set them on a cluster, so that
            each replica finds a machine with room.
        gpus: GPUs for each; an encoder with any runs on it.
        per_node: at most so many on one node, to spread them; 0 packs them as they fit.
    """

    min: int = 1
    max: int = 2
    cpus: float = 0.0
    gpus: float = 0.0
    per_node: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.max:
            raise CrossRayError(
                f"{self.min} to {self.max} replicas cannot run; use 1 or more, and no more at "
                "least than at most."
            )
        if self.cpus < 0 or self.gpus < 0 or not 0 <= self.per_node <= 100:
            raise CrossRayError(
                f"a replica cannot reserve {self.cpus} cores and {self.gpus} GPUs, nor "
                f"{self.per_node} replicas share a node; use 0 or more, and at most 100 a node."
            )


@dataclass(frozen=True)
class Limits(Config):
    """What one client may ask for; beyond it the answer is a 4xx or 503 problem document.

    Attributes:
        body_bytes: of a request.
        body_seconds: that the body of a request may take to arrive.
        client_bytes: of the bodies of one client address that a gateway replica holds at the same
            time, from their first byte until they are answered.
        held_bytes: the same, of all clients.
        text_characters: of a text query.
        image_bytes: of an image query, however it is sent.
        image_pixels: of an image query.
        image_seconds: that reading an image query may take.
        images: image queries among the `ongoing` ones.
        ongoing: requests that a gateway replica works on at the same time.
        seconds: that a search may take; at most 35, because HAProxy gives a replica up after 40.
    """

    body_bytes: int = 30 << 20
    body_seconds: float = 20.0
    client_bytes: int = 128 << 20
    held_bytes: int = 256 << 20
    text_characters: int = 10_000
    image_bytes: int = 20 << 20
    image_pixels: int = 25_000_000
    image_seconds: float = 10.0
    images: int = 32
    ongoing: int = 64
    seconds: float = 30.0

    def __post_init__(self) -> None:
        counts = (
            self.body_bytes, self.text_characters, self.image_bytes, self.image_pixels,
            self.images, self.ongoing,
        )  # fmt: skip
        if min(counts) < 1 or min(self.seconds, self.body_seconds, self.image_seconds) <= 0:
            raise CrossRayError("a limit of the endpoint is not positive; correct it.")
        if not self.body_bytes <= self.client_bytes <= self.held_bytes:
            raise CrossRayError(
                f"bodies of {self.body_bytes:,} bytes, {self.client_bytes:,} a client and "
                f"{self.held_bytes:,} in all do not fit each other; let each limit be at least the "
                "one before."
            )
        if self.seconds > _LONGEST:
            raise CrossRayError(
                f"a search may not take {self.seconds:g} s, only up to {_LONGEST:g}: after that "
                "its replica is given up; set a smaller limit."
            )


@dataclass(frozen=True)
class ServingConfig(Config):
    """An index and how it is served.

    Attributes:
        index: the artifact: a name in the store, an absolute path or a URI.
        topology: `fused` keeps the encoder and all shards in every replica, one network hop away;
            `fanout` has a gateway, encoders and a deployment for each shard, for an index that does
            not fit one replica.
        replicas: of the fused deployment, or of the gateway.
        encoders: of the encoder in `fanout`.
        shards: of each shard in `fanout`.
        encoder_threads: that torch uses for one batch.
        image_processes: that decode images, each one at a time, for an encoder.
        search_threads: searches that a process runs side by side.
        max_batch: queries that are encoded together.
        limits: of a request.
    """

    index: str
    topology: Topology = "fused"
    replicas: Replicas = field(default_factory=Replicas)
    encoders: Replicas = field(default_factory=Replicas)
    shards: Replicas = field(default_factory=Replicas)
    encoder_threads: int = 1
    image_processes: int = 1
    search_threads: int = 2
    max_batch: int = 16
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name in ("encoder_threads", "image_processes", "search_threads", "max_batch"):
            if getattr(self, name) < 1:
                raise CrossRayError(f"{name}={getattr(self, name)} is not positive; use 1 or more.")

    def with_replicas(self, text: str) -> "ServingConfig":
        """The same with other numbers of replicas in every deployment: `2..4`, or `2` for two.

        Raises:
            CrossRayError: anything else.
        """
        match = _RANGE.fullmatch(text)
        if match is None:
            raise CrossRayError(f"{text!r} is no number of replicas; write 2, or 1..4 for a range.")
        least, most = int(match[1]), int(match[2] or match[1])
        return replace(
            self,
            replicas=replace(self.replicas, min=least, max=most),
            encoders=replace(self.encoders, min=least, max=most),
            shards=replace(self.shards, min=least, max=most),
        )
