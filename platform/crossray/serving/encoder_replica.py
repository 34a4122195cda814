"""A replica of the fan-out topology that encodes queries."""

from __future__ import annotations

from crossray.core.errors import CrossRayError
from crossray.serving.config import ServingConfig
from crossray.serving.deployments import device
from crossray.serving.encoding import QueryEncoder
from crossray.serving.lineage import open_lineage
from crossray.serving.query import Query, Refusal


class EncoderReplica:
    """Encodes queries in batches."""

    def __init__(self, config: ServingConfig) -> None:
        student = open_lineage(config.index).student
        self._encoder = QueryEncoder(student, config, device(config.encoders))

    async def encode_text(self, text: str) -> Query | Refusal:
        """The query that a text is."""
        try:
            return await self._encoder.text(text)
        except CrossRayError as error:
            return Refusal(str(error))

    async def encode_image(self, image: bytes) -> Query | Refusal:
        """The query that an encoded image is."""
        try:
            return await self._encoder.image(image)
        except CrossRayError as error:
            return Refusal(str(error))

    async def ready(self) -> bool:
        """Answers when the model is loaded."""
        return True

    async def check_health(self) -> None:
        """Ray Serve restarts the replica when its thread no longer takes work."""
        await self._encoder.alive()
