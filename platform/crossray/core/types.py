"""The shape legend and the batch that every method reads.

Shape suffixes: `B` batch, `D` embedding, `K` bits, `R` regions, `W` words, `S` sentences,
`T` tokens, `H` heads, `Q` queries, `N` database items, `C` channels or classes, `Y` and `X` rows
and columns of a picture or a feature map. `z_BD` is a batch of embeddings, `scores_QN` a matrix of
scores.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageBatch:
    """Images, either as pixels or as the cached output of a frozen tower.

    `pixels_BCYX`: float, normalised. `grid_BCYX`: the feature map of the tower.
    Exactly one of the two is given. `boxes_BR4`: for methods that read boxes, x0, y0, x1, y1 in
    [0, 1] of what the pixels show; `box_mask_BR`: bool, True at real boxes. `masks_BRYX`: for
    methods that read masks, the share of each cell of a grid over what the pixels show that a mask
    covers; a mask of zeros is padding.
    """

    pixels_BCYX: Tensor | None = None
    grid_BCYX: Tensor | None = None
    boxes_BR4: Tensor | None = None
    box_mask_BR: Tensor | None = None
    masks_BRYX: Tensor | None = None


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


Representation = dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Row i of `image` belongs with row i of `text`.

    `keys_B`: long; rows with equal keys show the same study and are never each other's negatives.
    `labels_BC`: float, 1 where a row carries a label, for methods that learn from labels; columns
    as in `MethodConfig.label_names`. `rows_B`: long, the row of the training split that each row of
    the batch is.
    """

    image: ImageBatch
    text: TextBatch
    keys_B: Tensor
    labels_BC: Tensor | None = None
    rows_B: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same batch on `device`, its floating-point tensors cast to `dtype`."""
        return move(self, device, dtype)


@dataclass(frozen=True)
class TeacherOutputs:
    """What a teacher makes of the images and the texts of a batch; every tensor has B rows.

    `images` and `texts`: what its score needs to know of them. `image_layers` and `text_layers`:
    states and attention maps of layers of its two towers.
    """

    images: Representation
    texts: Representation
    image_layers: Representation
    text_layers: Representation


@dataclass(frozen=True, kw_only=True)
class TaughtBatch(Batch):
    """A batch of distillation, with the outputs of the teacher for it."""

    teacher: TeacherOutputs


@dataclass(frozen=True)
class PretextBatch:
    """Images and texts of different items, with what self-supervision has drawn for them.

    Either may have no row at all. Rows of images: `views_BVCYX`: float, two augmented views of each
    image. `turns_B`: long, the quarter turns (0 to 3) by which it is to be turned. `hidden_BYX`:
    bool, True at pixels that are to be hidden. Rows of texts: `targets_BT`: long, the token that
    stood where one is masked, -1 elsewhere. `ordered_B`: long, 1 where the halves of the text stand
    in their order, 0 where they are swapped, -1 where there are none. `fallback_B`: bool, True
    where random tokens are masked because there is no clinical term.
    """

    image: ImageBatch
    text: TextBatch
    views_BVCYX: Tensor
    turns_B: Tensor
    hidden_BYX: Tensor
    targets_BT: Tensor
    ordered_B: Tensor
    fallback_B: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """The same batch on `device`, its floating-point tensors cast to `dtype`."""
        return move(self, device, dtype)


PartT = TypeVar("PartT")


def move(part: PartT, device: torch.device | str, dtype: torch.dtype | None = None) -> PartT:
    """A batch or a part of one on `device`, its floating-point tensors cast to `dtype`."""
    moved: Any = part
    if isinstance(part, Tensor):
        moved = part.to(device=device, dtype=dtype if part.is_floating_point() else None)
    elif isinstance(part, dict):
        moved = {name: move(value, device, dtype) for name, value in part.items()}
    elif is_dataclass(part) and not isinstance(part, type):
        values = {field.name: getattr(part, field.name) for field in fields(part)}
        moved = replace(part, **move(values, device, dtype))
    return cast(PartT, moved)
