"""Recipes of MMDL and of the image-only systems beside it."""

from __future__ import annotations

from dataclasses import replace

from crossray.data.transforms import AugmentConfig
from crossray.encoders.attention_trunk import NAME as ATH_TRUNK
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.methods.ath import AthConfig
from crossray.methods.image_features import ImageFeaturesConfig
from crossray.methods.image_ranking import ImageRankingConfig
from crossray.methods.mmdl import MmdlConfig
from crossray.methods.recipe import (
    DeepSpeedConfig,
    OptimizerConfig,
    Recipe,
    TokenizerConfig,
    TrainConfig,
)
from crossray.recipes.pretrained import IMAGENET_MOBILENET, MINILM, MINILM_TOKENIZER

_SMALL_CNN = ImageTowerConfig(name="test_byobnet", image_size=112)
_SMALL_BERT = TextTowerConfig(
    shape=BertShape(layers=1, width=64, heads=2, ffn_width=128, dropout=0.0)
)
_SMALL_TOKENIZER = TokenizerConfig(vocab_size=1500, max_tokens=160)
_MILD = AugmentConfig(min_scale=0.9, rotation=0.0)
# SDML's settings, with one learning rate because most layers are shared; no weight decay: Adam.
_ADAM = OptimizerConfig(
    lr=1e-4, weight_decay=0.0, betas=(0.5, 0.999), warmup=0.0, schedule="constant"
)
_TINY_TRAIN = TrainConfig(
    batch_size=32, epochs=7, validation_items=128, select_by="mAP@10[found]", checkpoint_every=300
)
_HALF = (0.5, 0.5, 0.5)
_TINY = MmdlConfig(image=_SMALL_CNN, text=_SMALL_BERT, hidden=256, embedding=64)
_PRETRAINED = MmdlConfig(image=IMAGENET_MOBILENET, text=MINILM, hidden=2048, out_act="l2")
_ATH_IMAGE = ImageTowerConfig(name=ATH_TRUNK, image_size=256, mean=_HALF, std=_HALF)


def mmdl_tiny() -> Recipe:
    """From scratch on two CPU cores in minutes: a small CNN and a one-layer BERT."""
    return Recipe(
        name="mmdl_tiny",
        method=_TINY,
        tokenizer=_SMALL_TOKENIZER,
        augment=_MILD,
        optimizer=replace(_ADAM, lr=1e-3, warmup=0.1, schedule="cosine"),
        train=_TINY_TRAIN,
    )


def mmdl_pretrained_tiny() -> Recipe:
    """On frozen MobileNetV2 and MiniLM; minutes on two cores with cached features.

    Wider layers, outputs of unit length and a falling learning rate are what validation photos
    chose.
    """
    return Recipe(
        name="mmdl_pretrained_tiny",
        method=_PRETRAINED,
        tokenizer=MINILM_TOKENIZER,
        optimizer=replace(_ADAM, weight_decay=0.1, warmup=0.1, schedule="cosine"),
        train=TrainConfig(
            batch_size=100, epochs=10, select_by="mAP@10[found]", patience=10, checkpoint_every=500
        ),
    )


def image_mmdl_pretrained_tiny() -> Recipe:
    """Image-MMDL: `mmdl_pretrained_tiny` without texts."""
    return replace(
        mmdl_pretrained_tiny(),
        name="image_mmdl_pretrained_tiny",
        method=replace(_PRETRAINED, modalities=("image",)),
    )


def mmdl_base() -> Recipe:
    """DenseNet121, fine-tuned, on what VGG16 finds in the film, and a BERT of four layers; A100s.

    Give the towers weights with `--method.image.weights` and `--method.image.localiser-weights`;
    `--init` takes an image tower that `image_ranking_base` has fine-tuned.
    """
    return Recipe(
        name="mmdl_base",
        method=MmdlConfig(
            image=ImageTowerConfig(name="densenet121", image_size=224, localiser="vgg16"),
            text=TextTowerConfig(shape=BertShape(layers=4, width=256, heads=4, ffn_width=1024)),
        ),
        tokenizer=TokenizerConfig(vocab_size=30_000, max_tokens=256),
        optimizer=_ADAM,
        deepspeed=DeepSpeedConfig(zero_stage=1, bf16=True),
        train=TrainConfig(
            batch_size=128, epochs=200, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@10[found]", patience=10, checkpoint_every=1000,
        ),
    )  # fmt: skip


def image_ranking_base() -> Recipe:
    """The image tower of `mmdl_base`, fine-tuned by the ranking loss; A100s."""
    base = mmdl_base()
    return replace(
        base,
        name="image_ranking_base",
        method=ImageRankingConfig(image=base.method.image, text=base.method.text),
        train=replace(base.train, epochs=50),
    )


def image_ranking_tiny() -> Recipe:
    """The image tower of `mmdl_tiny`, trained by the ranking loss; minutes on two cores."""
    return replace(
        mmdl_tiny(),
        name="image_ranking_tiny",
        method=ImageRankingConfig(image=_SMALL_CNN, text=_SMALL_BERT),
    )


def image_features() -> Recipe:
    """The features of frozen MobileNetV2 as they are, or those of a feature set; seconds."""
    return Recipe(
        name="image_features",
        method=ImageFeaturesConfig(image=IMAGENET_MOBILENET, text=MINILM),
        tokenizer=MINILM_TOKENIZER,
    )


def ath_tiny() -> Recipe:
    """ATH's own small network from scratch; minutes on two cores."""
    return replace(
        mmdl_tiny(),
        name="ath_tiny",
        method=AthConfig(image=_ATH_IMAGE, text=_SMALL_BERT),
        optimizer=replace(_ADAM, lr=1e-3),
    )


def ath_mmdl_tiny() -> Recipe:
    """ATH-MMDL: MMDL on the features before ATH's hash layer; give `--init` a model of `ath_tiny`.

    The tower is frozen as it came.
    """
    method = replace(_TINY, image=replace(_ATH_IMAGE, frozen=True))
    return replace(mmdl_tiny(), name="ath_mmdl_tiny", method=method)
