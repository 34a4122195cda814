"""Figures that papers print, kept apart from our own."""

from __future__ import annotations

from crossray.evaluation.published.compare import Beside, Measured, set_beside
from crossray.evaluation.published.figures import PublishedFigure, published_figures

__all__ = ["Beside", "Measured", "PublishedFigure", "published_figures", "set_beside"]
