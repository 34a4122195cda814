"""A replica of the fan-out topology that encodes queries and scores candidates."""

from __future__ import annotations

from collections.abc import Sequence

from crossray.core.errors import CrossRayError
from crossray.index import Modality
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
from crossray.serving.config import ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.lineage import open_lineage
from crossray.serving.query import Query, Refusal
from crossray.serving.replicas.deployments import device


class EncoderReplica:
    """Encodes queries in batches, and scores candidates of one query at a time."""

    def __init__(self, config: ServingConfig) -> None:
        lineage = open_lineage(config.index)
        self._encoder = QueryEncoder(lineage, config, device(config.encoders))

    async def encode_text(self, text: str, represent: bool) -> Query | Refusal:
        """The query that a text is."""
        try:
            return await self._encoder.text(text, represent)
        except CrossRayError as error:
            return Refusal(str(error))

    async def encode_image(self, image: bytes, represent: bool) -> Query | Refusal:
        """The query that an encoded image is."""
        try:
            return await self._encoder.image(image, represent)
        except CrossRayError as error:
            return Refusal(str(error))

    async def scores(self, query: Parts, target: Modality, candidates: Sequence[Parts]) -> Floats:
        """The model's whole scores of a query with candidates of the other modality."""
        return await self._encoder.scores(query, target, candidates)

    async def ready(self) -> bool:
        """Answers when the model is loaded."""
        return True

    async def check_health(self) -> None:
        """Ray Serve restarts the replica when its thread no longer takes work."""
        await self._encoder.alive()
