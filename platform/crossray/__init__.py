"""CrossRay: cross-modal retrieval of images and text, from pairs to an endpoint, on Ray.

From Python, without Ray: `crossray.load`, `crossray.open_index` and `crossray.evaluate`
(`crossray.api`, `docs/python.md`).
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossray.api import evaluate, load, open_index

__all__ = ["evaluate", "load", "open_index"]

try:
    __version__ = version("crossray")
except PackageNotFoundError:
    __version__ = "0.0.0+source"


def __getattr__(name: str) -> Any:
    """Import `crossray.api` when it is first asked for: it needs torch, this module nothing."""
    if name in __all__:
        return getattr(import_module("crossray.api"), name)
    raise AttributeError(f"module 'crossray' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook completes."""
    return sorted({*globals(), *__all__})
