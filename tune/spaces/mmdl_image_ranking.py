"""The triplet loss that fine-tunes MMDL's image tower: its form and its margin."""

from crossray.methods.image_ranking.recipes import image_ranking_tiny
from crossray.studies.sweep import Space

SPACE = Space(
    image_ranking_tiny,
    {"method.triplet": ["margin", "ratio"], "method.margin": [0.1, 0.2, 0.5]},
    metric="mAP@10[found]",
)
