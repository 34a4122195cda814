"""Search over all shards of an index."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from crossray.core.modality import Modality
from crossray.index.arrays import Codes, Floats
from crossray.index.candidates import merge_candidates
from crossray.index.hits import Hits, merge
from crossray.index.queries import Mode, candidates_for, check_k, check_mode
from crossray.index.shard import Shard

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
    check_k(k)
    if mode == "rescore":
        check_mode(mode, shards[0].bits)
        wanted = candidates_for(k, candidates)
        found = _each(
            shards, lambda shard: shard.candidates(modality, queries_QD, codes_QY, wanted)
        )
        return merge_candidates(found, wanted, k)
    hits = _each(shards, lambda shard: shard.search(modality, queries_QD, codes_QY, k, mode))
    return merge(hits, k)


def _each(shards: Sequence[Shard], work: Callable[[Shard], _Found]) -> list[_Found]:
    if len(shards) == 1:
        return [work(shards[0])]
    return list(_pool().map(work, shards))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="shard")
