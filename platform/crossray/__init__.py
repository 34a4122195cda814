"""CrossRay: cross-modal retrieval of images and text, from pairs to an endpoint, on Ray."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("crossray")
except PackageNotFoundError:
    __version__ = "0.0.0+source"
