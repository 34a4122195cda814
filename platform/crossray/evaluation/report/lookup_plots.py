"""The two figures of an evaluation of codes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from crossray.evaluation.hamming.lookup import LookupCurves
from crossray.evaluation.report.plots import (
    CHANCE,
    INK,
    TOP_N_CAPTION,
    TOP_N_PLOT,
    FirstN,
    panels_of,
    plot_top_n,
    save,
)

RADIUS_PLOT = "hamming_radius.png"


def plot_lookup(curves: Mapping[str, LookupCurves], directory: Path) -> dict[str, Path]:
    """Save both figures, one panel a direction; returns the files by caption."""
    figures = {
        "Precision and recall within a Hamming radius": directory / RADIUS_PLOT,
        TOP_N_CAPTION: directory / TOP_N_PLOT,
    }
    radius, top_n = figures.values()
    _plot_radius(curves, radius)
    plot_top_n(
        {
            name: FirstN(
                np.arange(1, len(curve.top_n_R) + 1), curve.top_n_R, curve.precision_at_random
            )
            for name, curve in curves.items()
        },
        top_n,
        "codes",
    )
    return figures


def _plot_radius(curves: Mapping[str, LookupCurves], path: Path) -> None:
    """Precision against recall at each radius from 0; the mark is the first that returns items."""
    figure, panels = panels_of(list(curves))
    for axes, curve in zip(panels, curves.values(), strict=True):
        recall_D, precision_D = curve.radius.recall_D, curve.radius.precision_D
        axes.plot(recall_D, precision_D, color=INK, marker=".", label="codes")
        axes.axhline(curve.precision_at_random, color=CHANCE, linestyle="--", label="chance")
        first = int(np.argmax(~np.isnan(precision_D)))
        axes.annotate(
            f"radius {first}",
            (recall_D[first], precision_D[first]),
            xytext=(8, -14),
            textcoords="offset points",
        )
        axes.set_xlim(0, 1)
        axes.set_xlabel("recall (share of relevant items returned)")
    panels[0].set_ylabel("precision")
    save(figure, path)
