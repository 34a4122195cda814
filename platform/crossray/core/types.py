"""The shape legend and the batch that every method reads.

Shape suffixes: `B` batch, `D` embedding, `K` bits, `R` regions, `W` words, `S` sentences,
`T` tokens, `H` heads, `Q` queries, `N` database items, `C` channels or classes, `Y` and `X` rows
and columns of a picture or a feature map. `z_BD` is a batch of embeddings, `scores_QN` a matrix of
scores.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageBatch:
    """Images, either as pixels or as the cached output of a frozen tower.

    `pixels_BCYX`: float, normalised. `grid_BCYX`: the feature map of the tower.
    Exactly one of the two is given.
    """

    pixels_BCYX: Tensor | None = None
    grid_BCYX: Tensor | None = None


@dataclass(frozen=True)
class TextBatch:
    """Texts, either as token ids or as the cached token states of a frozen tower.

    `tokens_BT`: long, token ids. `states_BTD`: float, the tower's last hidden states.
    `mask_BT`: bool, True at real tokens. `sentence_BT`: long, the number of the sentence a token
    belongs to, -1 at special tokens and padding.
    """

    mask_BT: Tensor
    sentence_BT: Tensor
    tokens_BT: Tensor | None = None
    states_BTD: Tensor | None = None


Part = TypeVar("Part", ImageBatch, TextBatch)


@dataclass(frozen=True)
class Batch:
    """Row i of `image` belongs with row i of `text`.

    `keys_B`: long; rows with equal keys show the same study and are never each other's negatives.
    """

    image: ImageBatch
    text: TextBatch
    keys_B: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """The same batch on `device`, its floating-point tensors cast to `dtype`."""
        return Batch(
            image=move(self.image, device, dtype),
            text=move(self.text, device, dtype),
            keys_B=self.keys_B.to(device),
        )


def move(part: Part, device: torch.device | str, dtype: torch.dtype | None = None) -> Part:
    """One modality of a batch on `device`, its floating-point tensors cast to `dtype`."""
    moved: dict[str, Any] = {}
    for field in fields(part):
        tensor = getattr(part, field.name)
        if tensor is not None:
            cast = dtype if tensor.is_floating_point() else None
            moved[field.name] = tensor.to(device=device, dtype=cast)
    return replace(part, **moved)
