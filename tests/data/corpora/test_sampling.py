"""Batches: deterministic, shared out without overlap, resumable."""

from __future__ import annotations

import math

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.corpora.sampling import BatchSampler


def test_an_epoch_takes_every_item_at_most_once() -> None:
    """A repeated item would be its own negative."""
    batches = list(BatchSampler(items=23, batch_size=5, epochs=3, seed=1))
    assert len(batches) == 12
    for epoch in range(3):
        items = [item for batch in batches for e, item in batch if e == epoch]
        assert len(items) == len(set(items)) == 20
    assert batches[0] != [(0, i) for i in range(5)]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_processes_share_out_the_same_batches(accumulation: int) -> None:
    """The batch of a step must not depend on the number of processes."""
    one = list(BatchSampler(30, 12, 2, 7, (1, 0), accumulation))
    parts = [list(BatchSampler(30, 12, 2, 7, (3, rank), accumulation)) for rank in range(3)]
    for step, batch in enumerate(one):
        assert batch == [pair for part in parts for pair in part[step]]


@pytest.mark.parametrize("start", [0, 1, 4, 5, 8, 10])
def test_resuming_gives_the_rest(start: int) -> None:
    """A resumed run must see exactly the batches that the lost one would have seen."""
    whole = list(BatchSampler(23, 4, 2, 3, accumulation=2))
    rest = BatchSampler(23, 4, 2, 3, accumulation=2, start=start)
    assert list(rest) == whole[2 * start :]
    assert len(rest) == len(whole) - 2 * start


@pytest.mark.parametrize(("items", "size"), [(23, 5), (20, 5), (5, 5), (6, 5)])
def test_an_epoch_may_take_every_item(items: int, size: int) -> None:
    """What a pass must have seen in full; ceil(n / b) batches, none with an item twice."""
    sampler = BatchSampler(items, size, 2, 3, every_item=True)
    batches = list(sampler)
    assert sampler.steps_per_epoch == math.ceil(items / size)
    assert len(batches) == sampler.steps == 2 * math.ceil(items / size)
    for epoch in range(2):
        seen = [item for batch in batches for e, item in batch if e == epoch]
        assert set(seen) == set(range(items))
    assert all(len(set(batch)) == size for batch in batches)
    rest = BatchSampler(items, size, 2, 3, every_item=True, start=1)
    assert list(rest) == batches[1:]


def test_too_few_items_are_refused() -> None:
    """Otherwise training ends after no step at all."""
    with pytest.raises(CrossRayError, match="fewer than"):
        BatchSampler(items=3, batch_size=4, epochs=1, seed=0)
