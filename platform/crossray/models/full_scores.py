"""The full score of every pair: what `Method.score` gives, with all that `Method.refine` adds."""

from __future__ import annotations

import torch

from crossray.core.types import Representation
from crossray.methods.contract import Method, PairScores


def full_scores(method: Method, images: Representation, texts: Representation) -> PairScores:
    """Exact scores of B images and C texts, as if every text and every image were a candidate."""
    rows = method.score(images, texts)
    numbers = (torch.arange(len(part["z"]), device=part["z"].device) for part in (images, texts))
    added = method.refine(images, texts, torch.cartesian_prod(*numbers))
    if added is None:
        return rows
    both = zip(rows, added, strict=True)
    return PairScores(*(row_BC + more_P.view(row_BC.shape) for row_BC, more_P in both))
