"""Errors in the middle of a run that say which item they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crossray.core.errors import CrossRayError


@contextmanager
def naming(item_id: str) -> Iterator[None]:
    """Whatever is raised inside becomes a `CrossRayError` that names the item."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise CrossRayError(
            f"the item {item_id!r} cannot be read ({reason}); mend it and ingest it again, or "
            "leave it out."
        ) from error
