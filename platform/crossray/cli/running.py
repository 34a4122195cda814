"""Run what a command line asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from crossray.core.errors import CrossRayError


def run_command(parse: Callable[[], Any]) -> None:
    """Parse and run; a `CrossRayError` becomes one line on stderr and exit code 2."""
    try:
        parse().run()
    except CrossRayError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False)
        sys.stdout.flush()
        sys.exit(2)
