"""From what Ray Tune keeps of the trials to what a sweep's report says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath

from ray import tune

from crossray.core.artifacts import open_artifact
from crossray.core.store import exists
from crossray.evaluation.report.sweep_trial import State, SweepTrial
from crossray.studies.sweep.measure import mean_quality, measure
from crossray.studies.sweep.space import Values
from crossray.studies.sweep.trial import EPOCH, STORAGE, VALUE, Trials
from crossray.training.run import forget


def trial_results(results: tune.ResultGrid, trials: Trials) -> Iterator[SweepTrial]:
    """What became of every trial; models of those that ended are measured, one at a time.

    What trials have left in storage is removed; PBT lets one go on elsewhere again and again.
    """
    for number in range(len(results)):
        result = results[number]
        name = PurePath(result.path).name
        curve = _curve(result)
        metrics, values = result.metrics or {}, _values(result)
        seconds = float(metrics.get("time_total_s", 0.0))
        best = max(curve.values(), default=None)
        uri = trials.model(name)
        for storage in _storages(result):
            forget(storage)
        if exists(uri):
            yield _finished(name, values, curve, seconds, uri, trials)
            continue
        state: State = "stopped" if result.error is None else "failed"
        error = None if result.error is None else _sentence(result.error)
        yield SweepTrial(name, values, state, curve, best, seconds=seconds, error=error)


def _finished(
    name: str, values: Values, curve: dict[int, float], seconds: float, uri: str, trials: Trials
) -> SweepTrial:
    model, train = open_artifact(uri, ("teacher", "student")), trials.recipe.train
    found = measure(model, trials.pairs, trials.features, train)
    quality = found.quality
    if quality is None:
        quality = mean_quality(model.manifest.metrics[train.selection], train.select_by)
    return SweepTrial(
        name, values, "finished", curve, quality, found.bits, found.milliseconds, seconds, uri
    )


def _values(result: tune.Result) -> Values:
    """What a trial was given; of one that failed at once and was restored only its file knows."""
    if result.config:
        return dict(result.config)
    with result.filesystem.open_input_stream(f"{result.path}/params.json") as stream:
        found: Values = json.loads(stream.read())
    return found


def _curve(result: tune.Result) -> dict[int, float]:
    frame = result.metrics_dataframe
    if frame is None or EPOCH not in frame:
        return {}
    told = frame[[EPOCH, VALUE]].dropna()
    return {int(epoch): float(value) for epoch, value in told.itertuples(index=False)}


def _storages(result: tune.Result) -> list[str]:
    frame = result.metrics_dataframe
    return [] if frame is None or STORAGE not in frame else list(frame[STORAGE].dropna().unique())


def _sentence(error: Exception) -> str:
    """The last line of a traceback, which says what it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else repr(error)
