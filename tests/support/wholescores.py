"""A model's whole scores the slow and obvious way: every pair by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from crossray.core.artifacts import Artifact
from crossray.core.modality import Modality
from crossray.core.types import ImageBatch, Representation
from crossray.data.transforms import evaluation_transform
from crossray.encoders.image import normalisation
from crossray.models.artifact import load_model

Rows = list[Representation]


class PairByPair:
    """A model that sees one item, or one pair, at a time."""

    def __init__(self, artifact: Artifact) -> None:
        self.model = load_model(artifact)
        image = self.model.method.config.image
        self._transform = evaluation_transform(image.image_size, *normalisation(image))

    @torch.no_grad()
    def text(self, sentences: list[str]) -> Representation:
        """A text's representation, of one row."""
        batch = self.model.tokenizer.encode([sentences], self.model.max_tokens)
        return self.model.method.represent_text(batch)

    @torch.no_grad()
    def image(self, data: bytes) -> Representation:
        """An image's representation, of one row."""
        return self.model.method.represent_image(ImageBatch(self._transform(data)[None]))

    @torch.no_grad()
    def scores(self, query: Representation, target: Modality, rows: Rows) -> list[float]:
        """The score of a query with every row, refined."""
        method, found = self.model.method, []
        only = torch.zeros(1, 2, dtype=torch.long)
        for row in rows:
            pair = (row, query) if target == "image" else (query, row)
            coarse, added = method.score(*pair), method.refine(*pair, only)
            which = 1 if target == "image" else 0
            score: Tensor = coarse[which].flatten()
            if added is not None:
                score = score + added[which]
            found.append(float(score))
        return found


def stored_rows(vectors: Artifact, modality: Modality) -> Rows:
    """The representations in a `vectors` artifact, read as plain lists."""
    found = []
    for path in sorted(vectors.local().glob(f"{modality}-*.arrow")):
        table = pa.ipc.open_file(str(path)).read_all()
        found += [
            {name: _tensor(value) for name, value in row.items()} for row in table.to_pylist()
        ]
    return found


def _tensor(value: Any) -> Tensor:
    array = np.array(value)
    return torch.from_numpy(array.astype(np.float32) if array.dtype != bool else array)[None]
