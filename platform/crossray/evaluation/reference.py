"""A plain method beside the model: what the same data gives under the same protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crossray.evaluation.evaluate import DirectionResult


@dataclass(frozen=True)
class Reference:
    """A method's name, the features that it was fitted on in words, and both directions."""

    name: str
    about: str
    image_to_text: DirectionResult
    text_to_image: DirectionResult

    def as_json(self) -> dict[str, Any]:
        """For `report.json`: metrics and intervals by direction, as those of the model."""
        directions = {"image_to_text": self.image_to_text, "text_to_image": self.text_to_image}
        return {
            "name": self.name,
            "about": self.about,
            "metrics": {name: result.metrics for name, result in directions.items()},
            "intervals": {
                name: {metric: list(ends) for metric, ends in result.intervals.items()}
                for name, result in directions.items()
            },
        }
