"""Labels as numbers: one row an item, one column a label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossray.core.errors import CrossRayError


def label_matrix(labels: Sequence[Sequence[str]], names: Sequence[str]) -> Tensor:
    """`labels_NC`: float32, 1 where an item carries a label.

    Raises `CrossRayError` for a label that `names` does not have.
    """
    columns = {name: column for column, name in enumerate(names)}
    labels_NC = torch.zeros(len(labels), len(columns))
    for row, some in enumerate(labels):
        for name in some:
            if name not in columns:
                raise CrossRayError(
                    f"row {row} carries the label {name!r}, which the data's manifest does not "
                    "list; ingest the data again."
                )
            labels_NC[row, columns[name]] = 1.0
    return labels_NC
