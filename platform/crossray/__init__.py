"""CrossRay: cross-modal retrieval of images and text, from pairs to an endpoint, on Ray.

From Python, without Ray: `crossray.load`, `crossray.open_index` and `crossray.evaluate`
(`crossray.api`, `docs/python.md`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crossray.core.errors import needing
from crossray.core.version import __version__

if TYPE_CHECKING:
    from crossray.api import evaluate, load, open_index

__all__ = ["__version__", "evaluate", "load", "open_index"]
_LAZY = ("evaluate", "load", "open_index")


def __getattr__(name: str) -> Any:
    """Import `crossray.api` when it is first asked for: it needs torch, this module nothing."""
    if name in _LAZY:
        with needing("models,cpu"):
            return getattr(import_module("crossray.api"), name)
    raise AttributeError(f"module 'crossray' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What a notebook completes."""
    return sorted({*globals(), *__all__})
