"""A replica of the fan-out topology that holds one shard; it knows no model and loads no torch."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crossray.core.artifacts import open_artifact
from crossray.core.errors import CrossRayError
from crossray.index import Found, Modality, SearchOptions, load_shard
from crossray.index.arrays import Codes, Floats
from crossray.index.representations import Parts
from crossray.serving.backend import Query, Refusal, stored_query
from crossray.serving.config import ServingConfig


class ShardReplica:
    """Searches one shard, off the event loop."""

    def __init__(self, config: ServingConfig, number: int) -> None:
        self._shard = load_shard(open_artifact(config.index), number)
        self._pool = ThreadPoolExecutor(config.search_threads, thread_name_prefix="search")

    async def found(
        self, modality: Modality, vectors_QD: Floats, codes_QY: Codes, options: SearchOptions
    ) -> Found | Refusal:
        """The shard's best rows, or its nearest codes with their scores."""
        found: Found | Refusal = await self._run(
            self._shard.found, modality, vectors_QD, codes_QY, options
        )
        return found

    async def stored(self, modality: Modality, row: int, represent: bool) -> Query:
        """What the shard holds at a row."""
        return stored_query(self._shard, modality, row, represent)

    async def represented(
        self, modality: Modality, rows: Sequence[int]
    ) -> dict[int, Parts] | Refusal:
        """The representations of those of some rows that the shard holds."""
        found: dict[int, Parts] | Refusal = await self._run(self._shard.represented, modality, rows)
        return found

    async def ready(self) -> bool:
        """Answers when the shard is mapped."""
        return True

    async def check_health(self) -> None:
        """Ray Serve restarts the replica when its threads no longer take work."""
        await self._run(lambda: None)

    async def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, work, *arguments)
        except CrossRayError as error:
            return Refusal(str(error))
