"""Speed, waiting and lines of a run, on a clock of the test's own."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from crossray.training import throughput as pace
from crossray.training.throughput import SECONDS_BETWEEN_VALUES, Pace


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that `Pace` reads."""
    made = Clock()
    monkeypatch.setattr(pace, "monotonic", made)
    return made


def test_measures_are_those_of_the_printed_formulas(clock: Clock) -> None:
    """A run that is short of data would look busy, or a fast one slow."""
    rng = random.Random()
    first, batch = rng.randrange(100), rng.randrange(1, 64)
    made = Pace(first, batch)

    def slow(steps: int) -> Iterator[int]:
        for _ in range(steps):
            waits.append(rng.random())
            clock.now += waits[-1]
            yield len(waits)

    step, began = first, clock.now
    for _ in range(3):
        waits: list[float] = []
        computed: list[float] = []
        pauses: list[float] = []
        start, steps = step, rng.randrange(1, 6)
        # The generator is closed by the loop, so that the next one's first wait is its own.
        for _ in made.waits(slow(steps)):
            computed.append(rng.random())
            clock.now += computed[-1]
            step += 1
            if rng.random() < 0.5:
                with made.paused():
                    pauses.append(50 * rng.random())
                    clock.now += pauses[-1]
        found = made.measured(step)
        seconds = sum(waits) + sum(computed)
        assert found == pytest.approx({
            "seconds_per_step": (clock.now - began) / (step - first),
            "samples_per_second": batch * (step - start) / seconds,
            "waiting_share": sum(waits) / seconds,
        })  # fmt: skip


def test_a_run_that_only_waits_has_a_share_of_one(clock: Clock) -> None:
    """Rounding must not push a share out of [0, 1], nor a clock that stands still divide by 0."""
    made = Pace(0, 8)
    for _ in made.waits([1]):
        assert made.measured(1)["waiting_share"] == 0.0
    rng = random.Random()

    def slow() -> Iterator[int]:
        for number in range(50):
            clock.now += rng.random()
            yield number

    for _ in made.waits(slow()):
        pass
    assert made.measured(51)["waiting_share"] == pytest.approx(1.0)
    assert made.measured(52)["waiting_share"] == 0.0


def test_values_are_due_at_first_and_then_every_few_seconds(clock: Clock) -> None:
    """Curves of minutes without a point, or with one for every step."""
    made = Pace(7, 8)
    assert made.due()
    made.measured(8)
    assert not made.due()
    clock.now += SECONDS_BETWEEN_VALUES - 0.1
    assert not made.due()
    clock.now += 0.2
    assert made.due()
    made.measured(9)
    assert not made.due()


def test_a_line_is_due_at_first_and_when_none_was_for_long(clock: Clock) -> None:
    """A log that scrolls past what it tells, or a screen that stands still."""
    made = Pace(7, 8)
    assert made.speaks(30)
    assert not made.speaks(30)
    clock.now += 20.1
    assert not made.speaks(30)
    assert made.speaks(20), "the end of an epoch is told sooner"
    clock.now += 20.1
    assert not made.speaks(30), "after that one"
    clock.now += 10
    assert made.speaks(30)
