"""The mean of two directions, as some protocols report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossray.evaluation.evaluate import DirectionResult
from crossray.evaluation.metrics.arrays import Floats
from crossray.evaluation.metrics.first_rank import MEDIAN_RANK
from crossray.evaluation.significance.bootstrap import RESAMPLES, confidence_intervals


@dataclass(frozen=True)
class DirectionMean:
    """Means of the directions' metrics, their 95 % intervals and expected values by chance."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    baseline: dict[str, float]


def mean_of_directions(
    results: Sequence[DirectionResult], seed: int = 0, resamples: int = RESAMPLES
) -> DirectionMean:
    r"""Return $\frac{1}{2} (m_{I2T} + m_{T2I})$ of every metric that is a mean over queries.

    The intervals draw whole query ids, an id's queries of all directions together: a query weighs
    what its direction's mean gives it. Median ranks have no mean worth a name and are left out.
    """
    shared = [
        name
        for name in results[0].per_query
        if name != MEDIAN_RANK and all(name in result.per_query for result in results)
    ]
    ids_Q = np.concatenate([result.query_ids for result in results])
    values = {name: _weighed([result.per_query[name] for result in results]) for name in shared}
    return DirectionMean(
        metrics={name: _mean([result.metrics[name] for result in results]) for name in shared},
        intervals=confidence_intervals(values, {}, resamples, seed, ids_Q),
        baseline={name: _mean([result.baseline[name] for result in results]) for name in shared},
    )


def _weighed(values: Sequence[Floats]) -> Floats:
    """All values, scaled so that their mean is the mean of the directions' means."""
    judged = [int((~np.isnan(value_Q)).sum()) for value_Q in values]
    scale = [sum(judged) / (len(values) * max(count, 1)) for count in judged]
    return np.concatenate([value * factor for value, factor in zip(values, scale, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
