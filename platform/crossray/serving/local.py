"""Encoder and shards in this process: the backend of the fused topology."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from crossray.index import Hits, Modality, Mode, Shard, search, shard_of
from crossray.serving.config import ServingConfig
from crossray.serving.encoding import QueryEncoder
from crossray.serving.query import Query, stored_query


class LocalBackend:
    """See `Backend`; blocking work is done in threads, never on the event loop."""

    def __init__(
        self, encoder: QueryEncoder, shards: Sequence[Shard], config: ServingConfig
    ) -> None:
        self._encoder, self._shards = encoder, shards
        self._pool = ThreadPoolExecutor(config.search_threads, thread_name_prefix="search")

    async def encode_text(self, text: str) -> Query:
        """See `Backend.encode_text`."""
        return await self._encoder.text(text)

    async def encode_image(self, image: bytes) -> Query:
        """See `Backend.encode_image`."""
        return await self._encoder.image(image)

    async def stored(self, modality: Modality, row: int, item_id: str) -> Query:
        """See `Backend.stored`."""
        shard = self._shards[shard_of(item_id, len(self._shards))]
        return stored_query(shard, modality, row)

    async def search(self, modality: Modality, query: Query, k: int, mode: Mode) -> Hits:
        """See `Backend.search`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool,
            search,
            self._shards,
            modality,
            query.vector_D[None],
            query.code_Y[None],
            k,
            mode,
        )

    async def ready(self) -> bool:
        """The threads still take work."""
        await self._encoder.alive()
        await asyncio.get_running_loop().run_in_executor(self._pool, int)
        return True
