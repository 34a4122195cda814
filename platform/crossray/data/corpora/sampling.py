"""Which items make which batch: deterministic by seed, split by rank, resumable at any step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossray.core.errors import CrossRayError


@dataclass(frozen=True)
class BatchSampler:
    """Micro-batches of one process, as lists of (epoch, item) pairs.

    Every epoch is a new permutation of the items. A step takes `batch_size` items over all
    processes and accumulation steps; the items left over at the end of an epoch wait for a later
    permutation. The union over processes does not depend on their number.

    `start`: the first step to give, counted from the beginning of training. `every_item`: fill the
    last batch of an epoch up with items of its first, so that none waits.
    """

    items: int
    batch_size: int
    epochs: int
    seed: int
    split: tuple[int, int] = (1, 0)
    accumulation: int = 1
    start: int = 0
    every_item: bool = False

    def __post_init__(self) -> None:
        if self.items < self.batch_size:
            raise CrossRayError(
                f"the training split has {self.items} items to train on, fewer than "
                f"train.batch_size={self.batch_size}; lower the batch size or add items."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return (self.items + self._added) // self.batch_size

    @property
    def _added(self) -> int:
        """Items that an epoch shows twice."""
        return -self.items % self.batch_size if self.every_item else 0

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.steps_per_epoch * self.epochs

    def __len__(self) -> int:
        return (self.steps - self.start) * self.accumulation

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        processes, rank = self.split
        for epoch in range(self.start // self.steps_per_epoch, self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(self.items)
            order = np.concatenate([order, order[: self._added]])
            first = (
                self.start % self.steps_per_epoch
                if epoch * self.steps_per_epoch < self.start
                else 0
            )
            for step in range(first, self.steps_per_epoch):
                batch = order[step * self.batch_size : (step + 1) * self.batch_size]
                for micro in np.split(batch, self.accumulation):
                    yield [(epoch, int(item)) for item in np.split(micro, processes)[rank]]
