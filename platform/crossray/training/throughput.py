"""The pace of a run: when its next values and lines are due, and how fast it went since."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

SECONDS_BETWEEN_VALUES = 5.0
SECONDS_BETWEEN_EPOCHS = 20.0
SECONDS_WITHOUT_A_LINE = 30.0
_Item = TypeVar("_Item")


class Pace:
    """Measures one worker's steps; a step takes `batch_size` items, over all workers.

    Speed and waiting are those from one `measured` to the next, without what was done `paused`.
    """

    def __init__(self, step: int, batch_size: int) -> None:
        self._batch_size = batch_size
        self._first, self._began = step, monotonic()
        self._step, self._since = step, self._began
        self._waited = self._paused = 0.0
        self._said: float | None = None

    def due(self) -> bool:
        """Whether values are due: at the first step, and some seconds after the last ones."""
        started = self._step > self._first
        return not started or monotonic() - self._since >= SECONDS_BETWEEN_VALUES

    def speaks(self, seconds: float) -> bool:
        """Whether no line was said for so long; one is then taken as said."""
        now = monotonic()
        if self._said is not None and now - self._said < seconds:
            return False
        self._said = now
        return True

    def waits(self, batches: Iterable[_Item]) -> Iterator[_Item]:
        """The batches; the time until each is there counts as waiting."""
        iterator = iter(batches)
        while True:
            began = monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._waited += monotonic() - began
            yield batch

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done in this block is no training."""
        began = monotonic()
        yield
        self._paused += monotonic() - began

    def measured(self, step: int) -> dict[str, float]:
        """What has been measured at a step, which is later than the last one.

        `seconds_per_step`: the mean since the start, pauses included; from it follows how long a
        run will take. `samples_per_second`: of all workers. `waiting_share`: of the time, in
        [0, 1].
        """
        now = monotonic()
        seconds = max(now - self._since - self._paused, 1e-9)
        scalars = {
            "seconds_per_step": (now - self._began) / max(1, step - self._first),
            "samples_per_second": (step - self._step) * self._batch_size / seconds,
            "waiting_share": min(1.0, self._waited / seconds),
        }
        self._step, self._since = step, now
        self._waited = self._paused = 0.0
        return scalars
