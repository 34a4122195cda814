"""The figure of annotation efficiency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from crossray.evaluation.report.plots import CHANCE, INK

_COLOURS = (CHANCE, INK)


def plot_curves(
    curves: Mapping[str, Mapping[str, Any]],
    baseline: Mapping[str, Mapping[str, float]],
    path: Path,
) -> None:
    """Save scores against the share of pairs; one panel a direction (down) and metric (across).

    `curves` have `metrics` and `intervals` by curve, fraction, direction and metric, `baseline` is
    chance by direction and metric, dotted. Ranks are left out, they have another scale.
    """
    first = next(iter(next(iter(curves.values())).values()))["metrics"]
    shown = {d: [metric for metric in found if "rank" not in metric] for d, found in first.items()}
    columns = max(map(len, shown.values()))
    figure = Figure(figsize=(3.2 * columns, 2.8 * len(shown)), dpi=120, layout="constrained")
    panels = figure.subplots(len(shown), columns, squeeze=False)
    for line, (direction, metrics) in zip(panels, shown.items(), strict=True):
        for axes, metric in zip(line, metrics, strict=False):
            for colour, (name, points) in zip(_COLOURS, curves.items(), strict=False):
                share = [100 * float(fraction) for fraction in points]
                value = [point["metrics"][direction][metric] for point in points.values()]
                ends = [point["intervals"][direction][metric] for point in points.values()]
                axes.plot(share, value, "o-", color=colour, label=name)
                low, high = zip(*ends, strict=True)
                axes.fill_between(share, low, high, color=colour, alpha=0.2)
            axes.axhline(baseline[direction][metric], color=CHANCE, linestyle=":")
            axes.set_title(f"{direction.replace('_', ' ')}: {metric}", fontsize="medium")
            axes.set_xlabel("% of the pairs")
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.25)
    panels[0][0].legend(fontsize="small")
    figure.savefig(path)
