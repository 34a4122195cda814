"""The figures of every evaluation report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossray.evaluation.evaluate import Curves
from crossray.evaluation.metrics.arrays import Floats, Ints

TOP_N_CAPTION, TOP_N_PLOT = "Precision of the first N", "top_n_precision.png"
INK, CHANCE = "#1f5fa8", "#8a8a8a"


def plot_recall(curves: dict[str, Curves], path: Path) -> None:
    """Save recall@K (the cumulative match characteristic) against K, one panel a direction."""
    figure, panels = panels_of(list(curves))
    for axes, curve in zip(panels, curves.values(), strict=True):
        axes.plot(curve.k, curve.hit_rate, color=INK, label="model")
        axes.plot(curve.k, curve.hit_rate_at_random, color=CHANCE, linestyle="--", label="chance")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("K (items shown)")
    panels[0].set_ylabel("recall@K (share of queries with a hit)")
    save(figure, path)


def plot_precision_recall(curves: dict[str, Curves], path: Path) -> None:
    """Save precision against recall at growing rank, one panel a direction."""
    figure, panels = panels_of(list(curves))
    for axes, curve in zip(panels, curves.values(), strict=True):
        axes.plot(curve.recall, curve.precision, color=INK, label="model")
        # Every cut through a random ranking has the precision of the whole database.
        axes.axhline(float(curve.precision[-1]), color=CHANCE, linestyle="--", label="chance")
        axes.set_xlim(0, 1)
        axes.set_xlabel("recall (share of relevant items found)")
    panels[0].set_ylabel("precision")
    save(figure, path)


class FirstN(NamedTuple):
    """The precision of the first N items for some N, and that of any number drawn at random."""

    n_R: Ints
    precision_R: Floats
    at_random: float


def plot_top_n(curves: Mapping[str, FirstN], path: Path, what: str) -> None:
    """Save the precision of the first N items against N, one panel a direction."""
    figure, panels = panels_of(list(curves))
    for axes, curve in zip(panels, curves.values(), strict=True):
        axes.plot(curve.n_R, curve.precision_R, color=INK, label=what)
        axes.axhline(curve.at_random, color=CHANCE, linestyle="--", label="chance")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("N (first items of the ranking)")
    panels[0].set_ylabel("precision")
    save(figure, path)


def panels_of(directions: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A figure of fractions with one panel a direction."""
    figure = Figure(figsize=(4.5 * len(directions), 3.6), dpi=120, layout="constrained")
    panels = list(figure.subplots(1, len(directions), sharey=True, squeeze=False)[0])
    for axes, name in zip(panels, directions, strict=True):
        axes.set_title(name.replace("_", " "))
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.25)
    return figure, panels


def save(figure: Figure, path: Path) -> None:
    """Save a figure under the legend that its panels share."""
    lines, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path)
