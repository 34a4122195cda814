"""Recipes of HIER: stage 2, and stage 1 with the same towers, trained without pairs."""

from dataclasses import replace

from crossray.data.transforms import AugmentConfig
from crossray.encoders.image import ImageTowerConfig
from crossray.methods import recipe, towers
from crossray.methods.hier.config import LEVELS, HierConfig
from crossray.methods.hier.unimodal import HierUnimodalConfig

_VIEWS = AugmentConfig(min_scale=0.5, aspect=1.2, rotation=10.0, brightness=0.2, contrast=0.2)


def hier_tiny() -> recipe.Recipe:
    """From scratch on two CPU cores in minutes: a small ResNet and a one-layer BERT.

    Small pictures, a narrow text tower and a narrow level 2, so that the time goes into steps. All
    levels learn by InfoNCE: from scratch, the hardest negatives alone teach little in few epochs.
    """
    return recipe.Recipe(
        name="hier_tiny",
        method=HierConfig(
            image=towers.SMALL_RESNET,
            text=towers.SMALL_BERT,
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
        tokenizer=towers.SMALL_TOKENIZER,
        augment=towers.MILD_AUGMENT,
        optimizer=recipe.OptimizerConfig(lr=4e-3),
        train=recipe.TrainConfig(
            batch_size=64, epochs=9, validation_items=128, checkpoint_every=300
        ),
    )


def hier_pretrained_tiny() -> recipe.Recipe:
    """Regions and words, images and texts, on frozen MobileNetV2 grids and MiniLM token states.

    Level 2 is off: a caption is one sentence, and its structures are zones of a chest. So is the
    gate: its loss draws the two levels together, and apart they make more different mistakes.
    """
    return recipe.Recipe(
        name="hier_pretrained_tiny",
        method=HierConfig(
            image=towers.IMAGENET_MOBILENET,
            text=towers.MINILM,
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
        tokenizer=towers.MINILM_TOKENIZER,
        optimizer=recipe.OptimizerConfig(lr=5e-4),
        train=recipe.TrainConfig(
            batch_size=128, epochs=24, select_by="last", checkpoint_every=500, validation_items=200
        ),
    )


def hier_base() -> recipe.Recipe:
    """Twelve-layer towers of width 768, for A100s (about 0.2 B parameters)."""
    return recipe.Recipe(
        name="hier_base",
        method=HierConfig(
            image=towers.BASE_VIT,
            text=towers.BASE_BERT,
            embedding=256,
            hidden=2048,
            grids=(4, 8),
        ),
        tokenizer=towers.BASE_TOKENIZER,
        optimizer=recipe.OptimizerConfig(lr=5e-5, weight_decay=0.01),
        deepspeed=recipe.DeepSpeedConfig(zero_stage=2, bf16=True),
        train=recipe.TrainConfig(
            batch_size=512, epochs=100, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@all", patience=10, checkpoint_every=500,
        ),
    )  # fmt: skip


def hier_large() -> recipe.Recipe:
    """The large teacher, 307 M in its image tower (ViT-L/16), ZeRO-3 with offload."""
    base = hier_base()
    return recipe.Recipe(
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
        deepspeed=recipe.DeepSpeedConfig(
            zero_stage=3, bf16=True, offload_optimizer=True, accumulation=2
        ),
        train=replace(base.train, recompute=True),
    )


def hier_unimodal_tiny() -> recipe.Recipe:
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


def hier_unimodal_base() -> recipe.Recipe:
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
