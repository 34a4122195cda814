"""Sweeps: Ray Tune over fields of recipes."""

from crossray.studies.sweep.space import Space

__all__ = ["Space"]
