"""What `--pairs` and `--features` name: the data of a run."""

from dataclasses import dataclass

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve


@dataclass(frozen=True)
class TrainingData:
    """Pairs, with cached features of them or without; or a feature set, which has no pairs.

    Attributes:
        source: what the run learns from: the pairs, or the feature set.
        features: the cached features, or once more the feature set.
    """

    source: Artifact
    features: Artifact | None

    @property
    def is_feature_set(self) -> bool:
        """Whether the run has vectors in place of images and texts."""
        return self.source.kind == "features"


def open_training_data(pairs: str | None, features: str | None, user: str) -> TrainingData:
    """Open the artifacts of these names; `user` needs them.

    Raises `CrossRayError` where neither is named, and what opening an artifact raises.
    """
    cached = None if features is None else open_artifact(resolve(features), "features")
    if pairs is not None:
        return TrainingData(open_artifact(resolve(pairs), "pairs"), cached)
    if cached is None:
        raise CrossRayError(f"{user} needs data; give --pairs, --features or both.")
    return TrainingData(cached, cached)
