"""Recipes of GPLDAN."""

from __future__ import annotations

from crossray.methods.gpldan.model import GpldanConfig
from crossray.methods.recipe import (
    DeepSpeedConfig,
    OptimizerConfig,
    Recipe,
    TrainConfig,
)
from crossray.methods.towers import (
    BASE_BERT,
    BASE_TOKENIZER,
    BASE_VIT,
    IMAGENET_MOBILENET,
    MILD_AUGMENT,
    MINILM,
    MINILM_TOKENIZER,
    SMALL_BERT,
    SMALL_CNN,
    SMALL_TOKENIZER,
)


def gpldan_tiny() -> Recipe:
    """From scratch on two CPU cores in minutes: a small RepVGG-like CNN and a one-layer BERT.

    The targets are distances of what the towers give, so towers that know nothing teach little:
    it shows the path from end to end, not what the method is for.
    """
    return Recipe(
        name="gpldan_tiny",
        method=GpldanConfig(
            image=SMALL_CNN,
            text=SMALL_BERT,
            embedding=32,
            attention_width=16,
            classifier_width=64,
        ),
        tokenizer=SMALL_TOKENIZER,
        augment=MILD_AUGMENT,
        optimizer=OptimizerConfig(lr=2e-3, weight_decay=1e-4),
        train=TrainConfig(batch_size=64, epochs=7, validation_items=128, checkpoint_every=300),
    )


def gpldan_pretrained_tiny() -> Recipe:
    """On frozen MobileNetV2 and MiniLM, or on a feature set; minutes on two cores with features.

    Normalised inputs and weak noise are what validation photos chose.
    """
    return Recipe(
        name="gpldan_pretrained_tiny",
        method=GpldanConfig(
            image=IMAGENET_MOBILENET,
            text=MINILM,
            inputs="normalised",
            noise_image=0.2,
            noise_text=0.3,
        ),
        tokenizer=MINILM_TOKENIZER,
        optimizer=OptimizerConfig(lr=1e-3, weight_decay=1e-4),
        train=TrainConfig(
            batch_size=128, epochs=12, select_by="mAP@50[found]", patience=12,
            validation_items=400, checkpoint_every=500,
        ),
    )  # fmt: skip


def gpldan_base() -> Recipe:
    """Twelve-layer towers of width 768 and the paper's sizes and optimisers, for A100s."""
    return Recipe(
        name="gpldan_base",
        method=GpldanConfig(
            image=BASE_VIT,
            text=BASE_BERT,
        ),
        tokenizer=BASE_TOKENIZER,
        optimizer=OptimizerConfig(lr=1e-4, weight_decay=1e-4),
        deepspeed=DeepSpeedConfig(zero_stage=2, bf16=True),
        train=TrainConfig(
            batch_size=64, epochs=200, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@50[found]", patience=20, checkpoint_every=500,
        ),
    )  # fmt: skip
