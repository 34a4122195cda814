"""Recipes of HIER: stage 2, and stage 1 with the same towers, trained without pairs."""

from __future__ import annotations

from dataclasses import replace

from crossray.data.transforms import AugmentConfig
from crossray.encoders.image import ImageTowerConfig
from crossray.methods.hier.config import LEVELS, HierConfig
from crossray.methods.hier.unimodal import HierUnimodalConfig
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
    SMALL_RESNET,
    SMALL_TOKENIZER,
)

_VIEWS = AugmentConfig(min_scale=0.5, aspect=1.2, rotation=10.0, brightness=0.2, contrast=0.2)


def hier_tiny() -> Recipe:
    """From scratch on two CPU cores in minutes: a small ResNet and a one-layer BERT.

    Small pictures, a narrow text tower and a narrow level 2, so that the time goes into steps. All
    levels learn by InfoNCE: from scratch, the hardest negatives alone teach little in few epochs.
    """
    return Recipe(
        name="hier_tiny",
        method=HierConfig(
            image=SMALL_RESNET,
            text=SMALL_BERT,
            embedding=64,
            hidden=256,
            image_pooling="cells",
            text_pooling="mean",
            grids=(4,),
            structure_width=16,
            structure_heads=1,
            structure_feed_forward=16,
            info_nce=LEVELS,
            temperature=0.07,
        ),
        tokenizer=SMALL_TOKENIZER,
        augment=MILD_AUGMENT,
        optimizer=OptimizerConfig(lr=4e-3),
        train=TrainConfig(batch_size=64, epochs=9, validation_items=128, checkpoint_every=300),
    )


def hier_pretrained_tiny() -> Recipe:
    """Regions and words, images and texts, on frozen MobileNetV2 grids and MiniLM token states.

    Level 2 is off: a caption is one sentence, and its structures are zones of a chest. So is the
    gate: its loss draws the two levels together, and apart they make more different mistakes.
    """
    return Recipe(
        name="hier_pretrained_tiny",
        method=HierConfig(
            image=IMAGENET_MOBILENET,
            text=MINILM,
            embedding=512,
            hidden=1024,
            dropout=0.5,
            local_dropout=0.2,
            text_pooling="mean",
            grids=(4,),
            levels=("region_word", "global"),
            smoothing=4.0,
            both_directions=True,
            info_nce=("global",),
            temperature=0.02,
            gate=False,
        ),
        tokenizer=MINILM_TOKENIZER,
        optimizer=OptimizerConfig(lr=5e-4),
        train=TrainConfig(
            batch_size=128, epochs=24, select_by="last", checkpoint_every=500, validation_items=200
        ),
    )


def hier_base() -> Recipe:
    """Twelve-layer towers of width 768, for A100s (about 0.2 B parameters)."""
    return Recipe(
        name="hier_base",
        method=HierConfig(
            image=BASE_VIT,
            text=BASE_BERT,
            embedding=256,
            hidden=2048,
            grids=(4, 8),
        ),
        tokenizer=BASE_TOKENIZER,
        optimizer=OptimizerConfig(lr=5e-5, weight_decay=0.01),
        deepspeed=DeepSpeedConfig(zero_stage=2, bf16=True),
        train=TrainConfig(
            batch_size=512, epochs=100, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@all", patience=10, checkpoint_every=500,
        ),
    )  # fmt: skip


def hier_large() -> Recipe:
    """The large teacher, 307 M in its image tower (ViT-L/16), ZeRO-3 with offload."""
    base = hier_base()
    return Recipe(
        name="hier_large",
        method=HierConfig(
            image=ImageTowerConfig(name="vit_large_patch16_224", image_size=224),
            text=base.method.text,
            embedding=256,
            hidden=2048,
            grids=(4, 8),
        ),
        tokenizer=base.tokenizer,
        optimizer=base.optimizer,
        deepspeed=DeepSpeedConfig(zero_stage=3, bf16=True, offload_optimizer=True, accumulation=2),
        train=replace(base.train, recompute=True),
    )


def hier_unimodal_tiny() -> Recipe:
    """The towers of `hier_tiny`, on two CPU cores in minutes; momentum and queue fit few steps."""
    aligned = hier_tiny()
    return replace(
        aligned,
        name="hier_unimodal_tiny",
        method=HierUnimodalConfig(
            image=aligned.method.image,
            text=aligned.method.text,
            embedding=64,
            hidden=256,
            momentum=0.99,
            queue=512,
            decoder=32,
        ),
        augment=_VIEWS,
        train=replace(aligned.train, epochs=5, select_by="last"),
    )


def hier_unimodal_base() -> Recipe:
    """The towers of `hier_base`, for A100s, in float32: the slow encoder takes thousandths."""
    aligned = hier_base()
    return replace(
        aligned,
        name="hier_unimodal_base",
        method=HierUnimodalConfig(
            image=aligned.method.image, text=aligned.method.text, embedding=256
        ),
        augment=_VIEWS,
        deepspeed=replace(aligned.deepspeed, bf16=False),
        train=replace(aligned.train, select_by="last"),
    )


# The stage 1 whose towers a recipe of stage 2 starts from.
FIRST_STAGES = {hier_tiny: hier_unimodal_tiny, hier_base: hier_unimodal_base}
