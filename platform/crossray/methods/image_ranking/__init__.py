"""Fine-tuning of an image tower by a triplet loss on labels, before MMDL (docs/methods/mmdl.md)."""

from __future__ import annotations

from crossray.methods.entry import MethodEntry
from crossray.methods.image_ranking.model import ImageRanking, ImageRankingConfig
from crossray.methods.image_ranking.recipes import image_ranking_base, image_ranking_tiny

__all__ = ["METHOD", "ImageRanking", "ImageRankingConfig"]

METHOD = MethodEntry(
    configs=(ImageRankingConfig,),
    recipes=(
        image_ranking_tiny,
        image_ranking_base,
    ),
)
