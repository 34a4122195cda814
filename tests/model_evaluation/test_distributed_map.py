"""Work shared out over processes."""

from __future__ import annotations

import pytest

from crossray.model_evaluation import distributed_map as sharing
from crossray.model_evaluation.distributed_map import blocks_of, shared_out


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 6, 7])
def test_all_processes_work_equally_often(
    count: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ZeRO-3 one that computes less often leaves the others waiting for its parameters."""
    shares: list[dict[int, int]] = []
    calls = [0] * processes
    everything = {number: -number for number in range(count)}

    def gather(mine: dict[int, int]) -> list[dict[int, int]]:
        shares.append(mine)
        return [everything]

    monkeypatch.setattr(sharing, "world_size", lambda: processes)
    monkeypatch.setattr(sharing, "gather_objects", gather)
    for process in range(processes):

        def compute(block: int, process: int = process) -> int:
            calls[process] += 1
            return -block

        monkeypatch.setattr(sharing, "rank", lambda process=process: process)
        assert shared_out(range(count), compute) == [-number for number in range(count)]
    assert len(set(calls)) == 1
    assert calls[0] == -(-count // processes)
    assert {number: value for share in shares for number, value in share.items()} == everything


def test_blocks() -> None:
    """Every value once, in order."""
    assert [list(block) for block in blocks_of(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert blocks_of([], 3) == []
