"""Search over all shards of an index."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from crossray.core.modality import Modality
from crossray.index.arrays import Codes, Floats
from crossray.index.hits import Hits
from crossray.index.queries import Mode, SearchOptions
from crossray.index.shard import Shard, merge_found

_Found = TypeVar("_Found")


def search(
    shards: Sequence[Shard],
    modality: Modality,
    queries_QD: Floats,
    codes_QY: Codes,
    k: int,
    mode: Mode,
    candidates: int | None = None,
) -> Hits:
    """The `k` best rows of a modality, each shard searched in its thread.

    With exact float indexes, and in the modes `binary` and `rescore` always, the answer is the same
    for any number of shards.

    Raises:
        CrossRayError: as `Shard.search`.
    """
    return search_shards(shards, modality, queries_QD, codes_QY, SearchOptions(k, mode, candidates))


def search_shards(
    shards: Sequence[Shard],
    modality: Modality,
    queries_QD: Floats,
    codes_QY: Codes,
    options: SearchOptions,
) -> Hits:
    """What `search` gives, with all that can be asked for in one value."""
    found = _each(shards, lambda shard: shard.found(modality, queries_QD, codes_QY, options))
    return merge_found(found, options)


def _each(shards: Sequence[Shard], work: Callable[[Shard], _Found]) -> list[_Found]:
    if len(shards) == 1:
        return [work(shards[0])]
    return list(_pool().map(work, shards))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="shard")
