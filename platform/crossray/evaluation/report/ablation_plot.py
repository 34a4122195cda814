"""The figure of an ablation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from crossray.evaluation.report.plots import CHANCE, INK


def plot_variants(variants: Mapping[str, Mapping[str, Any]], full: str, path: Path) -> None:
    """Save a dot with its interval a variant; one panel a direction (down) and metric (across).

    `variants` have `metrics` and `intervals` by direction and metric. A dashed line marks the full
    system. Ranks are left out, they have another scale.
    """
    directions = variants[full]["metrics"]
    shown = {
        d: [metric for metric in found if "rank" not in metric] for d, found in directions.items()
    }
    columns, height = max(map(len, shown.values())), 0.8 + 0.3 * len(variants)
    figure = Figure(
        figsize=(2.2 + 2.6 * columns, height * len(shown)), dpi=120, layout="constrained"
    )
    panels = figure.subplots(len(shown), columns, squeeze=False, sharey=True)
    for line, (direction, metrics) in zip(panels, shown.items(), strict=True):
        for axes, metric in zip(line, metrics, strict=False):
            for place, found in enumerate(variants.values()):
                value = found["metrics"][direction][metric]
                low, high = found["intervals"][direction][metric]
                ends = [[value - low], [high - value]]
                axes.errorbar([value], [place], xerr=ends, color=INK, fmt="o", capsize=3)
            axes.axvline(directions[direction][metric], color=CHANCE, linestyle="--")
            axes.set_title(f"{direction.replace('_', ' ')}: {metric}", fontsize="medium")
            axes.grid(axis="x", alpha=0.25)
    panels[0][0].set_yticks(range(len(variants)), list(variants))
    panels[0][0].invert_yaxis()
    figure.savefig(path)
