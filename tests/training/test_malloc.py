"""Freed memory goes back to the system."""

from __future__ import annotations

import json
import subprocess
import sys

FREED = """
import json, resource, sys, torch
from crossray.training.process import give_back_large_blocks

if sys.argv[1] == "told":
    give_back_large_blocks()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

torch.ones(7 << 20)  # 28 MiB, freed: glibc keeps blocks of this size from now on
before = resident()
held = [torch.ones(1 << 20) for _ in range(60)]  # of 4 MiB
held = held[-1]  # no trimming below it
print(json.dumps(resident() - before))
"""


def kept(how: str) -> int:
    """Bytes that a process keeps of 240 MiB, of which it has freed all but 4."""
    command = [sys.executable, "-c", FREED, how]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: int = json.loads(run.stdout)
    return found


def test_large_blocks_go_back() -> None:
    """Twice the memory of a model, for nothing, is a model that does not fit."""
    assert kept("told") < 20 << 20
    assert kept("not told") > 100 << 20
