"""The phantom: frontal chest radiographs with reports, drawn and written by a program.

Synthetic and of no clinical value. Row ``i`` is a pure function of the configuration and ``i``,
so any worker can make any slice, and the same seed and version give the same bytes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossray.core.errors import CrossRayError
from crossray.data.phantom.canvas import keep_heap
from crossray.data.phantom.config import PhantomConfig
from crossray.data.phantom.labels import label_vocabulary
from crossray.data.phantom.render import structure_masks
from crossray.data.phantom.rows import DISCLAIMER, VERSION, make_row
from crossray.data.phantom.sample import patient_of, sample_study

__all__ = [
    "DISCLAIMER",
    "VERSION",
    "PhantomConfig",
    "generate",
    "label_vocabulary",
    "masks",
    "patients",
    "sample_study",
]


def patients(config: PhantomConfig) -> int:
    """Number of patients of a data set without near-duplicates, which take the place of studies."""
    return patient_of(config.seed, config.items - 1)[0] + 1


def generate(config: PhantomConfig, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """Rows ``start`` to ``stop - 1`` of the pair schema.

    Raises:
        CrossRayError: the slice reaches beyond the data set.
    """
    if not 0 <= start <= stop <= config.items:
        raise CrossRayError(
            f"phantom rows {start} to {stop} were asked for; the data set has {config.items} "
            "items, so give 0 <= start <= stop <= items."
        )
    keep_heap()
    return (make_row(config, row) for row in range(start, stop))


def masks(config: PhantomConfig, row: int) -> dict[str, NDArray[np.bool_]]:
    """Masks (224, 224) of the lungs, the heart, the mediastinum and the bones of a row's image."""
    return structure_masks(sample_study(config, row))
