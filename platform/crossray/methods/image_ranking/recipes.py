"""Recipes of the ranking loss on images, which MMDL's towers are fine-tuned by."""

from dataclasses import replace

from crossray.methods import towers
from crossray.methods.image_ranking.model import ImageRankingConfig
from crossray.methods.recipe import DeepSpeedConfig, OptimizerConfig, Recipe, TrainConfig

_ADAM = OptimizerConfig(
    lr=1e-4, weight_decay=0.0, betas=(0.5, 0.999), warmup=0.0, schedule="constant"
)


def image_ranking_base() -> Recipe:
    """The image tower of `mmdl_base`, fine-tuned by the ranking loss; A100s."""
    return Recipe(
        name="image_ranking_base",
        method=ImageRankingConfig(image=towers.LOCALISED_DENSENET, text=towers.MMDL_BERT),
        tokenizer=towers.BASE_TOKENIZER,
        optimizer=_ADAM,
        deepspeed=DeepSpeedConfig(zero_stage=1, bf16=True),
        train=TrainConfig(
            batch_size=128, epochs=50, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@10[found]", patience=10, checkpoint_every=1000,
        ),
    )  # fmt: skip


def image_ranking_tiny() -> Recipe:
    """The image tower of `mmdl_tiny`, trained by the ranking loss; minutes on two cores."""
    return Recipe(
        name="image_ranking_tiny",
        method=ImageRankingConfig(image=towers.SMALL_CNN, text=towers.SMALL_BERT),
        tokenizer=towers.SMALL_TOKENIZER,
        augment=towers.MILD_AUGMENT,
        optimizer=replace(_ADAM, lr=1e-3, warmup=0.1, schedule="cosine"),
        train=TrainConfig(
            batch_size=32, epochs=7, validation_items=128, select_by="mAP@10[found]",
            checkpoint_every=300,
        ),
    )  # fmt: skip
