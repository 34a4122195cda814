"""The curves of an evaluation report: its figures, and as `report.json` has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossray.evaluation.evaluate import Curves, DirectionResult
from crossray.evaluation.hamming.lookup import LookupCurves
from crossray.evaluation.metrics.arrays import Floats, Ints

TOP_N_CAPTION, TOP_N_PLOT = "Precision of the first N", "top_n_precision.png"
RADIUS_PLOT = "hamming_radius.png"
INK, CHANCE = "#1f5fa8", "#8a8a8a"

Numbers = dict[str, list[float | None]]


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


def curves_to_json(result: DirectionResult) -> dict[str, list[float | None] | Numbers]:
    """The values at each `k`, and where codes were ranked, those by `radius` and of the `top_n`."""
    curves = result.curves
    values: dict[str, list[float | None] | Numbers] = {
        "k": [int(k) for k in curves.k],
        "hit_rate": _list(curves.hit_rate),
        "hit_rate_at_random": _list(curves.hit_rate_at_random),
        "precision": _list(curves.precision),
        "recall": _list(curves.recall),
    }
    if result.lookup:
        values |= {"radius": _radius(result.lookup), "top_n": _list(result.lookup.top_n_R)}
    return values


def _radius(lookup: LookupCurves) -> Numbers:
    """One value a radius from 0; no precision where no query returned an item."""
    return {
        "precision": _list(lookup.radius.precision_D),
        "recall": _list(lookup.radius.recall_D),
        "queries_without_item": [int(count) for count in lookup.radius.empty_D],
    }


def _list(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
