"""What a feature set is: one vector an image and one a text, row by row, with labels."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError
from crossray.data.sources.source import Origin
from crossray.data.split import Split


@dataclass(frozen=True)
class FeatureRows:
    """Pairs of vectors: row n of `image_NC` belongs with row n of `text_NW`; float32, finite."""

    item_ids: tuple[str, ...]
    image_NC: NDArray[np.float32]
    text_NW: NDArray[np.float32]
    labels: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.item_ids)

    def take(self, rows: Sequence[int]) -> "FeatureRows":
        """Some rows, in the order given."""
        return replace(
            self,
            item_ids=tuple(self.item_ids[row] for row in rows),
            image_NC=self.image_NC[list(rows)],
            text_NW=self.text_NW[list(rows)],
            labels=tuple(self.labels[row] for row in rows),
        )


@dataclass(frozen=True)
class FeatureSet:
    """The rows of every split, and notes for the manifest."""

    splits: dict[Split, FeatureRows]
    notes: tuple[str, ...] = ()


class FeatureSource(Origin):
    """Base of the importers of feature sets."""

    @abstractmethod
    def features(self, seed: int) -> FeatureSet:
        """Read all of the set; `seed` draws what the set does not say. Raises `CrossRayError`."""


def checked_rows(
    prefix: str,
    image_NC: NDArray[Any],
    text_NW: NDArray[Any],
    labels: Sequence[Sequence[str]],
    where: str,
    item_ids: Sequence[str] | None = None,
) -> FeatureRows:
    """Rows that were checked to belong together, named after a prefix and their number.

    Raises `CrossRayError` for different numbers of rows.
    """
    if not len(image_NC) == len(text_NW) == len(labels):
        raise CrossRayError(
            f"{where} has {len(image_NC):,} image vectors, {len(text_NW):,} text vectors and "
            f"{len(labels):,} rows of labels for one split; give arrays with one row a pair."
        )
    names = item_ids or [f"{prefix}-{row:06d}" for row in range(len(labels))]
    return FeatureRows(tuple(names), image_NC, text_NW, tuple(map(tuple, labels)))
