"""The figure of repeated runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from crossray.evaluation.report.plots import CHANCE, INK
from crossray.evaluation.significance.spread import Spread


def plot_runs(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    spreads: Mapping[str, Mapping[str, Spread]],
    path: Path,
) -> None:
    """Save a strip of dots a metric, one dot a run, with mean and interval; one panel a direction.

    Both arguments go by direction and metric. Ranks are left out, they have another scale.
    """
    lines = max(len(metrics) for metrics in values.values())
    figure = Figure(
        figsize=(5 * len(values), 1.2 + 0.45 * lines), dpi=120, layout="constrained"
    )  # fmt: skip
    panels = figure.subplots(1, len(values), squeeze=False)[0]
    for axes, direction in zip(panels, values, strict=True):
        shown = [metric for metric in values[direction] if "rank" not in metric]
        for place, metric in enumerate(shown):
            run_R, spread = values[direction][metric], spreads[direction][metric]
            ends = [[spread.mean - spread.low], [spread.high - spread.mean]]
            axes.errorbar([spread.mean], [place], xerr=ends, color=CHANCE, fmt="|", capsize=4)
            # Runs stand one below the other, so that equal ones can be told apart.
            offset_R = np.linspace(-0.22, 0.22, len(run_R))
            axes.plot(run_R, place + offset_R, "o", color=INK, markersize=4, alpha=0.8)
        axes.set_yticks(range(len(shown)), shown)
        axes.invert_yaxis()
        axes.set_title(direction.replace("_", " "))
        axes.grid(axis="x", alpha=0.25)
    figure.savefig(path)
