"""Run what a command line asks for."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from crossray.core.errors import CrossRayError


def run_command(parse: Callable[[], Any]) -> None:
    """Parse and run; a `CrossRayError` becomes one line on stderr and exit code 2.

    Exit code 1 without a word where nobody reads the output to its end, as before `| head`.
    """
    try:
        try:
            parse().run()
        finally:
            sys.stdout.flush()
    except CrossRayError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except BrokenPipeError:
        if not _unread():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _unread() -> bool:
    """Whether stdout is a pipe that has lost its reader."""
    poll = select.poll()
    poll.register(sys.stdout, select.POLLERR)
    return bool(poll.poll(0))
