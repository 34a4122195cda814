"""Recipes of GPLDAN."""

from crossray.methods import recipe, towers
from crossray.methods.gpldan.model import GpldanConfig


def gpldan_tiny() -> recipe.Recipe:
    """From scratch on two CPU cores in minutes: a small RepVGG-like CNN and a one-layer BERT.

    The targets are distances of what the towers give, so towers that know nothing teach little:
    it shows the path from end to end, not what the method is for.
    """
    return recipe.Recipe(
        name="gpldan_tiny",
        method=GpldanConfig(
            image=towers.SMALL_CNN,
            text=towers.SMALL_BERT,
            embedding=32,
            attention_width=16,
            classifier_width=64,
        ),
        tokenizer=towers.SMALL_TOKENIZER,
        augment=towers.MILD_AUGMENT,
        optimizer=recipe.OptimizerConfig(lr=2e-3, weight_decay=1e-4),
        train=recipe.TrainConfig(
            batch_size=64, epochs=7, validation_items=128, checkpoint_every=300
        ),
    )


def gpldan_pretrained_tiny() -> recipe.Recipe:
    """On frozen MobileNetV2 and MiniLM, or on a feature set; minutes on two cores with features.

    Normalised inputs and weak noise are what validation photos chose.
    """
    return recipe.Recipe(
        name="gpldan_pretrained_tiny",
        method=GpldanConfig(
            image=towers.IMAGENET_MOBILENET,
            text=towers.MINILM,
            inputs="normalised",
            noise_image=0.2,
            noise_text=0.3,
        ),
        tokenizer=towers.MINILM_TOKENIZER,
        optimizer=recipe.OptimizerConfig(lr=1e-3, weight_decay=1e-4),
        train=recipe.TrainConfig(
            batch_size=128, epochs=12, select_by="mAP@50[found]", patience=12,
            validation_items=400, checkpoint_every=500,
        ),
    )  # fmt: skip


def gpldan_base() -> recipe.Recipe:
    """Twelve-layer towers of width 768 and the paper's sizes and optimisers, for A100s."""
    return recipe.Recipe(
        name="gpldan_base",
        method=GpldanConfig(
            image=towers.BASE_VIT,
            text=towers.BASE_BERT,
        ),
        tokenizer=towers.BASE_TOKENIZER,
        optimizer=recipe.OptimizerConfig(lr=1e-4, weight_decay=1e-4),
        deepspeed=recipe.DeepSpeedConfig(zero_stage=2, bf16=True),
        train=recipe.TrainConfig(
            batch_size=64, epochs=200, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@50[found]", patience=20, checkpoint_every=500,
        ),
    )  # fmt: skip
