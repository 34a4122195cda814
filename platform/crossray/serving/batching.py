"""Queries that arrive while others are encoded are encoded together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Batcher(Generic[_Item, _Result]):
    """Runs `work` in a thread on whatever has arrived since its last run ended.

    A lone query does not wait for company, and under load batches fill by themselves.
    `serve.batch` closes a batch before the running one ends, so that it either makes every query
    wait a fixed time or, without that time, encodes them one by one.

    `work` gives one result an item. Where it raises, its items are tried one by one, so that
    whatever one of them leads to is raised to its caller only.
    """

    def __init__(
        self,
        work: Callable[[Sequence[_Item]], Sequence[_Result]],
        max_batch: int,
        pool: Executor,
    ) -> None:
        self._work, self._max_batch, self._pool = work, max_batch, pool
        self._waiting: deque[tuple[_Item, asyncio.Future[_Result]]] = deque()
        self._running = False

    async def __call__(self, item: _Item) -> _Result:
        """The result for one item; called on one event loop only."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if not self._running:
            self._run_next()
        return await future

    def _run_next(self) -> None:
        batch: list[tuple[_Item, asyncio.Future[_Result]]] = []
        while self._waiting and len(batch) < self._max_batch:
            item, future = self._waiting.popleft()
            if not future.done():  # its caller has not given up
                batch.append((item, future))
        self._running = bool(batch)
        if batch:
            items = [item for item, _ in batch]
            futures = [future for _, future in batch]
            run = asyncio.get_running_loop().run_in_executor(self._pool, self._results, items)
            run.add_done_callback(lambda done: self._finish(futures, done))

    def _results(self, items: Sequence[_Item]) -> Sequence[_Result | Exception]:
        try:
            return self._work(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [result for item in items for result in self._results([item])]

    def _finish(
        self,
        futures: Sequence[asyncio.Future[_Result]],
        run: asyncio.Future[Sequence[_Result | Exception]],
    ) -> None:
        failure = run.exception()
        results = [failure] * len(futures) if failure else run.result()
        for future, result in zip(futures, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._run_next()
