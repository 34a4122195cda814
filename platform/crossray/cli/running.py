"""Run what a command line asks for."""

import os
import select
import sys
from collections.abc import Callable
from typing import Any

from crossray.core.errors import CrossRayError, needing


def run_command(parse: Callable[[], Any], extras: str = "all") -> None:
    """Parse and run; a `CrossRayError` becomes one line on stderr and exit code 2.

    `extras` of the package, separated by commas, are what the command imports beyond the base
    install. The exit code is 1, without a message, where nobody reads the output to its end, as
    before `| head`.
    """
    try:
        try:
            with needing(extras):
                parse().run()
        finally:
            sys.stdout.flush()
    except CrossRayError as error:
        from rich.console import Console

        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        sys.exit(2)
    except BrokenPipeError:
        if not _unread():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def say(line: str) -> None:
    """Print one line as it is, however long."""
    from rich.console import Console

    Console(soft_wrap=True).print(line, highlight=False)


def _unread() -> bool:
    """Whether stdout is a pipe that has lost its reader."""
    poll = select.poll()
    poll.register(sys.stdout, select.POLLERR)
    return bool(poll.poll(0))
