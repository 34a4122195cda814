"""Sweeps: Ray Tune over fields of recipes."""

from crossray.training.sweep.space import Space

__all__ = ["Space"]
