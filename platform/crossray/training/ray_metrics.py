"""What a training run logs, as metrics of Ray that Prometheus reads: see `docs/dashboards.md`."""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge

CHECKPOINT_SECONDS = "checkpoint_seconds"
_PREFIX = "crossray_training"
# From the first part of a scalar's name to a metric, and the tags that the name's last parts are.
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "loss": ("loss", ("term",)),
    "gradient_norm": ("gradient_norm", ("phase",)),
    "validation": ("quality", ("split", "direction", "metric")),
    "test": ("quality", ("split", "direction", "metric")),
    "lr": ("learning_rate", ()),
    "seconds_per_step": ("seconds_per_step", ()),
    "samples_per_second": ("samples_per_second", ()),
    "waiting_share": ("waiting_share", ()),
    CHECKPOINT_SECONDS: (CHECKPOINT_SECONDS, ()),
}


class RayMetrics:
    """A tracker; its gauges stand for as long as this process lives.

    `workers`: training processes of the run. `step`: that this process starts after, so that its
    counter of steps counts those that it took itself.
    """

    def __init__(self, run: str, workers: int, step: int) -> None:
        self._tags, self._step = {"run": run}, step
        self._gauges: dict[str, Gauge] = {}
        self._steps = Counter(f"{_PREFIX}_steps", "Optimiser steps.", ("run",))
        self._checkpoints = Counter(f"{_PREFIX}_checkpoints", "Checkpoints written.", ("run",))
        self._gauge("workers", ()).set(workers, self._tags)

    def log(self, scalars: dict[str, float], step: int) -> None:
        """See `Tracker.log`."""
        for name, value in scalars.items():
            metric, tags = _placed(name)
            self._gauge(metric, tuple(tags)).set(value, self._tags | tags)
        if CHECKPOINT_SECONDS in scalars:
            self._checkpoints.inc(tags=self._tags)
        if step > self._step:
            self._steps.inc(step - self._step, self._tags)
            self._step = step

    def close(self) -> None:
        """See `Tracker.close`."""

    def _gauge(self, metric: str, tags: tuple[str, ...]) -> Gauge:
        if metric not in self._gauges:
            words = f"The run's {metric.replace('_', ' ')}."
            self._gauges[metric] = Gauge(f"{_PREFIX}_{metric}", words, ("run", *tags))
        return self._gauges[metric]


def _placed(name: str) -> tuple[str, dict[str, str]]:
    """The metric that a scalar belongs to, and its tags; what a method observes has a separate one.

    `validation/image_to_text/R@10` is `quality` with split, direction and metric.
    """
    parts = name.split("/", 2)
    if parts[0] not in _FAMILIES:
        return "observation", {"name": name}
    metric, tags = _FAMILIES[parts[0]]
    return metric, dict(zip(tags, parts[len(parts) - len(tags) :], strict=True))
