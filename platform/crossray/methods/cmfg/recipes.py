"""Recipes of CMFG."""

from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import TextTowerConfig
from crossray.methods import recipe, towers
from crossray.methods.cmfg.model import CmfgConfig


def cmfg_tiny() -> recipe.Recipe:
    """From scratch on two CPU cores: a small RepVGG-like CNN and a one-layer BERT.

    Reports have some hundred tokens, so the re-ranker learns from a part of the batch's pairs.
    """
    return recipe.Recipe(
        name="cmfg_tiny",
        method=CmfgConfig(
            image=towers.SMALL_CNN,
            text=towers.SMALL_BERT,
            embedding=64,
            grid=4,
            projection="normalised",
            layer="residual_ln",
            key_width=32,
            candidates=8,
            pair_block=128,
            learn_temperature=True,
            tower_lr=1.0,
        ),
        tokenizer=towers.SMALL_TOKENIZER,
        augment=towers.MILD_AUGMENT,
        optimizer=recipe.OptimizerConfig(lr=2e-3),
        train=recipe.TrainConfig(
            batch_size=32, epochs=7, validation_items=128, rerank=16, checkpoint_every=300
        ),
    )


def cmfg_pretrained_tiny() -> recipe.Recipe:
    """The graph on frozen MobileNetV2 cells and MiniLM token states; short captions.

    Sizes and the sum of both stages are what validation photos chose.
    """
    return recipe.Recipe(
        name="cmfg_pretrained_tiny",
        method=CmfgConfig(
            image=towers.IMAGENET_MOBILENET,
            text=towers.MINILM,
            embedding=512,
            grid=4,
            projection="normalised",
            dropout=0.3,
            layer="residual_ln",
            reranked="sum",
            candidates=2,
            temperature=0.02,
            learn_temperature=True,
        ),
        tokenizer=towers.MINILM_TOKENIZER,
        optimizer=recipe.OptimizerConfig(lr=1e-3),
        train=recipe.TrainConfig(
            batch_size=128, epochs=12, select_by="last", checkpoint_every=500,
            validation_items=200, rerank=20,
        ),
    )  # fmt: skip


def cmfg_base() -> recipe.Recipe:
    """The published system: ViT-B/16 and BERT-base, a graph for every pair of the batch; A100s.

    As printed where something is printed; towers learn at a tenth of the graph's rate.
    """
    bert = "hub:google-bert/bert-base-uncased"
    return recipe.Recipe(
        name="cmfg_base",
        method=CmfgConfig(
            image=ImageTowerConfig(
                name="vit_base_patch16_224",
                weights="hub:timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
                image_size=224,
            ),
            text=TextTowerConfig(weights=bert),
            pair_block=64,
        ),
        tokenizer=recipe.TokenizerConfig(source=bert, max_tokens=128),
        optimizer=recipe.OptimizerConfig(lr=1e-4, weight_decay=0.01),
        deepspeed=recipe.DeepSpeedConfig(zero_stage=1, bf16=True),
        train=recipe.TrainConfig(
            batch_size=32, epochs=20, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, rerank=100, checkpoint_every=500,
        ),
    )  # fmt: skip
