"""Recipes of HIER, stage 2."""

from __future__ import annotations

from dataclasses import replace

from crossray.data.transforms import AugmentConfig
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.methods.hier import HierConfig
from crossray.methods.hier.config import LEVELS
from crossray.methods.recipe import (
    DeepSpeedConfig,
    OptimizerConfig,
    Recipe,
    TokenizerConfig,
    TrainConfig,
)
from crossray.recipes.pretrained import IMAGENET_MOBILENET, MINILM, MINILM_TOKENIZER


def hier_tiny() -> Recipe:
    """From scratch on two CPU cores in minutes: a small ResNet and a one-layer BERT.

    Small pictures, a narrow text tower and a narrow level 2, so that the time goes into steps. All
    levels learn by InfoNCE: from scratch, the hardest negatives alone teach little in few epochs.
    """
    shape = BertShape(layers=1, width=64, heads=2, ffn_width=128, dropout=0.0)
    return Recipe(
        name="hier_tiny",
        method=HierConfig(
            image=ImageTowerConfig(name="test_resnet", image_size=64, level=3),
            text=TextTowerConfig(shape=shape),
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
        tokenizer=TokenizerConfig(vocab_size=1500, max_tokens=160),
        augment=AugmentConfig(min_scale=0.9, rotation=0.0),
        optimizer=OptimizerConfig(lr=4e-3),
        train=TrainConfig(batch_size=64, epochs=9, validation_items=128, checkpoint_every=300),
    )


def hier_pretrained_tiny() -> Recipe:
    """Regions and words, and the whole, on frozen MobileNetV2 grids and MiniLM token states.

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
            image=ImageTowerConfig(name="vit_base_patch16_224", image_size=224),
            text=TextTowerConfig(shape=BertShape(layers=12, width=768, heads=12, ffn_width=3072)),
            embedding=256,
            hidden=2048,
            grids=(4, 8),
        ),
        tokenizer=TokenizerConfig(vocab_size=30_000, max_tokens=256),
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
