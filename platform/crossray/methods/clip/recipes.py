"""Recipes of CLIP, the plain dual encoder."""

from __future__ import annotations

from crossray.methods.clip.model import ClipConfig
from crossray.methods.recipe import OptimizerConfig, Recipe, TrainConfig
from crossray.methods.towers import IMAGENET_MOBILENET, MINILM, MINILM_TOKENIZER


def clip_pretrained_tiny() -> Recipe:
    """Two-layer heads on frozen MobileNetV2 and MiniLM features; minutes on two cores."""
    return Recipe(
        name="clip_pretrained_tiny",
        method=ClipConfig(
            image=IMAGENET_MOBILENET,
            text=MINILM,
            embedding=512,
            hidden=1024,
            dropout=0.5,
            temperature=0.02,
        ),
        tokenizer=MINILM_TOKENIZER,
        optimizer=OptimizerConfig(lr=5e-4, weight_decay=0.01, warmup=0.1),
        train=TrainConfig(batch_size=256, epochs=30, patience=30, checkpoint_every=500),
    )
