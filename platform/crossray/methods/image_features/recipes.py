"""Recipe of plain image features."""

from __future__ import annotations

from crossray.methods.image_features.model import ImageFeaturesConfig
from crossray.methods.recipe import Recipe
from crossray.methods.towers import IMAGENET_MOBILENET, MINILM, MINILM_TOKENIZER


def image_features() -> Recipe:
    """The features of frozen MobileNetV2 as they are, or those of a feature set; seconds."""
    method = ImageFeaturesConfig(image=IMAGENET_MOBILENET, text=MINILM)
    return Recipe(name="image_features", method=method, tokenizer=MINILM_TOKENIZER)
