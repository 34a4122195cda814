"""How many threads FAISS may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep FAISS on the calling thread inside the block.

    A scan of codes is bound by memory: over 10 million codes two OpenMP threads took twice as long
    as one, and the default number under load thirty times as long. Parallelism comes from threads
    that search or build a shard each. With one thread HNSW and k-means also give the same bytes in
    every run. OpenMP keeps the number for each thread by itself, so other threads are not touched.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
