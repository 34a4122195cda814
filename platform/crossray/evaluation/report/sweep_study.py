"""A sweep's trials as an Optuna study: what decides the metric."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from crossray.evaluation.report.sweep_trial import SweepTrial

_SPAN_OF_A_LOGARITHM = 20.0


def study_of(trials: Sequence[SweepTrial]) -> optuna.Study:
    """The trials by the metric after the last epoch that all of them came to.

    Trials without an epoch are left out, and so are fields that do not differ. A field is an axis
    if its values are numbers, on a logarithm if they span more than a factor of twenty.
    """
    told = [trial for trial in trials if trial.curve]
    epoch = min(max(trial.curve) for trial in told)
    axes = _axes(told)
    study = optuna.create_study(direction="maximize")
    for trial in told:
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
