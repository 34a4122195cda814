"""Scores of pairs, image i with text i, as they are explained."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from crossray.core.types import Representation
from crossray.methods.contract import Encoder

Of = Literal["score", "cosine"]


def pair_scores(method: Encoder, images: Representation, texts: Representation, of: Of) -> Tensor:
    """`scores_B` of image i with text i.

    `score` is the model's own where the text asks for the image, the costlier part of `refine`
    included; `cosine` is that of the two embeddings, what an index ranks by.
    """
    if of == "cosine":
        return (images["z"] * texts["z"]).sum(dim=1)
    scores_B = method.score(images, texts).text_to_image_BC.diagonal()
    rows = torch.arange(len(scores_B), device=scores_B.device)
    added = method.refine(images, texts, torch.stack([rows, rows], dim=1))
    return scores_B if added is None else scores_B + added.text_to_image_BC


def repeated(part: Representation, count: int) -> Representation:
    """A single row `count` times."""
    return {name: tensor.expand(count, *tensor.shape[1:]) for name, tensor in part.items()}
