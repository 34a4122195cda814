"""Recipe of ATH."""

from __future__ import annotations

from crossray.methods.ath.model import AthConfig
from crossray.methods.recipe import OptimizerConfig, Recipe, TrainConfig
from crossray.methods.towers import ATH_IMAGE, MILD_AUGMENT, SMALL_BERT, SMALL_TOKENIZER


def ath_tiny() -> Recipe:
    """The paper's small network from scratch; minutes on two cores."""
    return Recipe(
        name="ath_tiny",
        method=AthConfig(image=ATH_IMAGE, text=SMALL_BERT),
        tokenizer=SMALL_TOKENIZER,
        augment=MILD_AUGMENT,
        optimizer=OptimizerConfig(
            lr=1e-3, weight_decay=0.0, betas=(0.5, 0.999), warmup=0.0, schedule="constant"
        ),
        train=TrainConfig(
            batch_size=32, epochs=7, validation_items=128, select_by="mAP@10[found]",
            checkpoint_every=300,
        ),
    )  # fmt: skip
