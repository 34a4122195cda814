"""Encoder and shards in this process: the backend of the fused topology."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from crossray.index import Hits, Modality, Mode, Shard, search, shard_of
from crossray.index.arrays import Floats
from crossray.index.representations import Parts
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

    async def encode_text(self, text: str, represent: bool) -> Query:
        """See `Backend.encode_text`."""
        return await self._encoder.text(text, represent)

    async def encode_image(self, image: bytes, represent: bool) -> Query:
        """See `Backend.encode_image`."""
        return await self._encoder.image(image, represent)

    async def stored(self, modality: Modality, row: int, item_id: str, represent: bool) -> Query:
        """See `Backend.stored`."""
        shard = self._shards[shard_of(item_id, len(self._shards))]
        return stored_query(shard, modality, row, represent)

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

    async def scores(self, modality: Modality, query: Query, rows: Sequence[int]) -> Floats:
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
