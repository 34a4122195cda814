"""How many threads FAISS may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep FAISS on the calling thread inside the block.

    A scan of codes is bound by memory: more OpenMP threads make it slower, and under load the
    default number of them much slower. Parallelism comes from threads
    that search or build a shard each. With one thread HNSW and k-means also give the same bytes in
    every run. OpenMP keeps the number for each thread by itself, so other threads are not touched.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
