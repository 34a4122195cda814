"""Work on blocks of a data set, shared out over the processes."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from crossray.core.distributed import gather_objects, rank, world_size

T = TypeVar("T")
R = TypeVar("R")


def blocks_of(values: Sequence[T], size: int) -> list[Sequence[T]]:
    """The values in their order, `size` in a block, the last one shorter."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def shared_out(blocks: Sequence[T], compute: Callable[[T], R]) -> list[R]:
    """`compute` of every block, each on one process, the results on all.

    All processes compute equally often, so that some repeat a block: under ZeRO-3 a model takes its
    parameters from all of them whenever it computes, and would wait for one that does not.
    """
    turns = -(-len(blocks) // world_size())
    numbers = [(rank() + turn * world_size()) % len(blocks) for turn in range(turns)]
    mine = {number: compute(blocks[number]) for number in numbers}
    merged = {number: value for part in gather_objects(mine) for number, value in part.items()}
    return [merged[number] for number in range(len(blocks))]
