"""Figures that papers print, kept apart from ours."""

from crossray.evaluation.published.compare import MeasuredOn, PublishedRow, published_rows
from crossray.evaluation.published.figures import PublishedFigure, published_figures

__all__ = ["MeasuredOn", "PublishedFigure", "PublishedRow", "published_figures", "published_rows"]
