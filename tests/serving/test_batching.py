"""Queries share batches without waiting for each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from crossray.serving.batching import Batcher


class Slow:
    """Squares numbers; a batch ends when the test lets it. 13 and negatives fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Semaphore(0)

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        assert self.go.acquire(timeout=20)
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise RuntimeError("broken")
        if min(numbers) < 0:
            raise ValueError("negative")
        return [n * n for n in numbers]


def run(numbers: Sequence[int], max_batch: int, given_up: Sequence[int] = ()) -> tuple[list, Slow]:
    """Ask for all numbers at once, the first a little earlier; gives results and the work."""
    work = Slow()

    async def ask() -> list:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(work, max_batch, pool)
            tasks = [asyncio.create_task(batcher(number)) for number in numbers]
            await asyncio.sleep(0.05)
            for place in given_up:
                tasks[place].cancel()
            work.go.release(2 * len(numbers))
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(asyncio.wait_for(ask(), 30)), work


def test_the_first_goes_alone_and_the_others_together() -> None:
    """A lone query would wait for company, or a busy endpoint would encode one by one."""
    results, work = run(range(8), max_batch=16)
    assert results == [n * n for n in range(8)]
    assert work.batches == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_batches_are_bounded() -> None:
    """Under load a batch would grow beyond what fits the memory."""
    results, work = run(range(8), max_batch=3)
    assert results == [n * n for n in range(8)]
    assert [len(batch) for batch in work.batches] == [1, 3, 3, 1]


def test_a_refused_query_spoils_no_other() -> None:
    """One client's broken image would fail the queries beside it."""
    results, work = run([1, 2, -3, 4, 13, 5], max_batch=16)
    assert [*results[:2], results[3], results[5]] == [1, 4, 16, 25]
    assert isinstance(results[2], ValueError)
    assert isinstance(results[4], RuntimeError)
    assert work.batches == [[1], [2, -3, 4, 13, 5], [2], [-3], [4], [13], [5]]


def test_after_a_failed_batch_others_are_served() -> None:
    """One crash of the model would stop the encoder for ever."""
    results, work = run([13, 2, 3], max_batch=2)
    assert isinstance(results[0], RuntimeError)
    assert results[1:] == [4, 9]
    assert work.batches == [[13], [2, 3]]


@pytest.mark.parametrize("given_up", [[1], [0, 1], [1, 2, 3]])
def test_queries_that_were_given_up_are_not_encoded(given_up: list[int]) -> None:
    """Clients that went away would slow down those that stayed, or stop the encoder."""
    results, work = run([1, 2, 3, 4], max_batch=16, given_up=given_up)
    encoded = [number for batch in work.batches for number in batch]
    for place, number in enumerate([1, 2, 3, 4]):
        if place in given_up:
            assert isinstance(results[place], asyncio.CancelledError)
            assert number not in encoded or place == 0
        else:
            assert results[place] == number**2
