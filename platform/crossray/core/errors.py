"""The one error that a user is meant to read."""

from __future__ import annotations


class CrossRayError(Exception):
    """A mistake in an input, a configuration or an artifact that its owner can mend.

    The message is one sentence: what was wrong, where, and what to do. Entry points print it
    without a traceback and leave with a non-zero exit code. It is no `ValueError`, which parsers
    such as tyro and pydantic catch and wrap in a message about themselves.
    """
