"""What tests of several Ray nodes have in common."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 240.0
# A lost node is given up after three seconds in place of fifteen.
NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 3,
}


def wait_for(holds: Callable[[], bool], what: str) -> float:
    """Wait until a condition holds; gives the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < SECONDS, f"{what}: not within {SECONDS} s"
        time.sleep(0.3)
    return time.monotonic() - began
