"""What is recorded in Ray's metrics, without a cluster to send it to."""

from __future__ import annotations

from collections import defaultdict

import pytest
from ray.util.metrics import Metric

Tags = frozenset[tuple[str, str]]


class Recorded:
    """Every value of every metric, by name and tags."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.values: dict[tuple[str, Tags], list[float]] = defaultdict(list)

        def record(metric: Metric, value: float, tags: dict[str, str] | None = None) -> None:
            final: dict[str, str] = metric._get_final_tags(tags)
            metric._validate_tags(final)
            assert final.keys() <= set(metric.info["tag_keys"]), "Ray drops tags it was not told of"
            self.values[metric.info["name"], frozenset(final.items())].append(value)

        patch.setattr(Metric, "_record", record)

    def of(self, name: str, /, **tags: str) -> list[float]:
        """What one series was given."""
        return self.values.get((name, frozenset(tags.items())), [])

    def names(self) -> set[str]:
        """The metrics that were given anything."""
        return {name for name, _ in self.values}
