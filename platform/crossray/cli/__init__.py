"""Command lines: the verbs of `crossray`, and the jobs."""

from crossray.cli.verbs import main

__all__ = ["main"]
