"""Recipe of CCA."""

from __future__ import annotations

from crossray.methods.cca.model import CcaConfig
from crossray.methods.recipe import Recipe
from crossray.methods.towers import IMAGENET_MOBILENET, MINILM, MINILM_TOKENIZER


def cca() -> Recipe:
    """On frozen MobileNetV2 and MiniLM, or on a feature set; seconds with features."""
    method = CcaConfig(image=IMAGENET_MOBILENET, text=MINILM)
    return Recipe(name="cca", method=method, tokenizer=MINILM_TOKENIZER)
