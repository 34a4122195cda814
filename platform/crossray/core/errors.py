"""The one error that a user is meant to read."""

from collections.abc import Iterator
from contextlib import contextmanager


class CrossRayError(Exception):
    """A mistake in an input, a configuration or an artifact that its owner can mend.

    The message is one sentence: what was wrong, where, and what to do. Entry points print it
    without a traceback and leave with a non-zero exit code. It is no `ValueError`, which parsers
    such as tyro and pydantic catch and wrap in a message about themselves.
    """


@contextmanager
def needing(extras: str) -> Iterator[None]:
    """Turns the lack of a module of another project into a `CrossRayError` that names `extras`."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module in ("", "crossray"):
            raise
        raise CrossRayError(
            f"this needs {module}, which is not installed; run pip install 'crossray[{extras}]'."
        ) from None
