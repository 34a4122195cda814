"""The figures of a sweep, and its trials as an Optuna study: what decides the metric."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.visualization.matplotlib import plot_parallel_coordinate

from crossray.evaluation.report.plots import CHANCE, INK
from crossray.evaluation.report.sweep_trial import SweepTrial, finished, front

_SPAN_OF_A_LOGARITHM = 20.0


def plot_front(trials: Sequence[SweepTrial], metric: str, path: Path) -> None:
    """Save quality against memory of the finished trials, coloured by latency; the front ringed."""
    done, kept = finished(trials), front(trials)
    figure = Figure(figsize=(7.0, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    timed = [trial.milliseconds for trial in done if trial.milliseconds is not None]
    if len(timed) == len(done):
        dots = axes.scatter(*_places(done), c=timed, cmap="viridis_r", zorder=3)
        figure.colorbar(dots, ax=axes, label="milliseconds a query")
    else:
        axes.scatter(*_places(done), color=INK, zorder=3)
    axes.scatter(
        *_places(kept), s=130, facecolors="none", edgecolors=INK, linewidths=1.5, label="front",
        zorder=4,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("megabytes a million items")
    axes.set_ylabel(f"validation {metric}")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
    figure.savefig(path)


def _places(trials: Sequence[SweepTrial]) -> tuple[list[float], list[float]]:
    """Megabytes and quality of finished trials."""
    return [trial.megabytes or 0.0 for trial in trials], [trial.quality or 0.0 for trial in trials]


def plot_curves(trials: Sequence[SweepTrial], best: SweepTrial, metric: str, path: Path) -> None:
    """Save the metric of every trial against its epochs; the best trial stands out."""
    figure = Figure(figsize=(7.0, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    for trial in trials:
        epochs = sorted(trial.curve)
        values = [trial.curve[epoch] for epoch in epochs]
        shown = {"color": INK, "zorder": 3} if trial is best else {"color": CHANCE, "alpha": 0.5}
        axes.plot(epochs, values, marker=".", **shown)  # type: ignore[arg-type]
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {metric}")
    axes.grid(alpha=0.25)
    figure.savefig(path)


def plot_importance(importance: Mapping[str, float], path: Path) -> None:
    """Save a bar a field, the most important on top."""
    names = sorted(importance, key=lambda name: importance[name])
    figure = Figure(figsize=(7.0, 0.8 + 0.4 * len(names)), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.barh(names, [importance[name] for name in names], color=INK)
    axes.set_xlabel("share of what decides the metric")
    figure.savefig(path)


def plot_parallel(study: optuna.Study, metric: str, path: Path) -> None:
    """Save the parallel coordinates of the study's trials (Inselberg 1985)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        axes = plot_parallel_coordinate(
            study, target=lambda trial: float(trial.values[0]), target_name=metric
        )
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(9.0, 4.6)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def study_of(trials: Sequence[SweepTrial]) -> optuna.Study:
    """The trials by the metric after the last epoch that all of them came to.

    Trials without an epoch are left out, and so are fields that do not differ. A field is an axis
    if its values are numbers, on a logarithm if they span more than a factor of twenty.
    """
    reported = [trial for trial in trials if trial.curve]
    epoch = min(max(trial.curve) for trial in reported)
    axes = _axes(reported)
    study = optuna.create_study(direction="maximize")
    for trial in reported:
        study.add_trial(
            optuna.trial.create_trial(
                params={name: _plain(trial.values[name]) for name in axes},
                distributions=axes,
                value=max(value for at, value in trial.curve.items() if at <= epoch),
            )
        )
    return study


def importance_of(study: optuna.Study) -> dict[str, float]:
    """How much each field decides, as shares that add up to 1; empty for too few trials.

    PED-ANOVA (Watanabe, Bansal and Hutter 2023): how much the values of the better half of the
    trials differ in distribution from those of all.
    """
    if len(study.trials) < 4 or len(study.trials[0].params) < 1:
        return {}
    if len({trial.value for trial in study.trials}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=0.5)
        return dict(get_param_importances(study, evaluator=evaluator))


def _axes(trials: Sequence[SweepTrial]) -> dict[str, BaseDistribution]:
    axes: dict[str, BaseDistribution] = {}
    for name in trials[0].values:
        values = [_plain(trial.values[name]) for trial in trials]
        different = list(dict.fromkeys(values))
        if len(different) < 2:
            continue
        if all(isinstance(value, float) for value in values):
            low, high = min(values), max(values)
            wide = low > 0 and high / low > _SPAN_OF_A_LOGARITHM
            axes[name] = FloatDistribution(low, high, log=wide)
        else:
            axes[name] = CategoricalDistribution(different)
    return axes


def _plain(value: Any) -> Any:
    """A number as a float; what Optuna does not know as words."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return float(value) if isinstance(value, int | float) else json.dumps(value)
