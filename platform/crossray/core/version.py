"""The version of CrossRay that runs."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("crossray")
except PackageNotFoundError:
    __version__ = "0.0.0+source"
