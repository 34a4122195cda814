"""Recipes of MMACH.

As in the paper, SGD whose learning rate falls linearly, epoch by epoch, from 10^-1.5 to 10^-6 in
batches of 128, and each of the three networks in turn for a pass over the training split.
"""

from crossray.encoders.image import ImageTowerConfig
from crossray.methods import recipe, towers
from crossray.methods.mmach.config import MmachConfig

_SGD = recipe.OptimizerConfig(lr=10**-1.5, weight_decay=0.0, schedule="linear", final_lr=10**-4.5)
_NO_CLIPPING = recipe.DeepSpeedConfig(gradient_clipping=0.0)


def mmach_tiny() -> recipe.Recipe:
    """From scratch on two CPU cores in minutes; the towers learn with their hash networks."""
    return recipe.Recipe(
        name="mmach_tiny",
        method=MmachConfig(
            image=towers.SMALL_CNN,
            text=towers.SMALL_BERT,
            wide=256,
            narrow=128,
            label_hidden=256,
            optimizer="AdamW",
        ),
        tokenizer=towers.SMALL_TOKENIZER,
        augment=towers.MILD_AUGMENT,
        optimizer=recipe.OptimizerConfig(lr=1e-3, weight_decay=0.0, schedule="linear"),
        deepspeed=_NO_CLIPPING,
        train=recipe.TrainConfig(
            batch_size=64,
            epochs=8,
            select_by="hamming:mAP@all",
            validation_items=256,
            checkpoint_every=300,
        ),
    )


def mmach_pretrained_tiny() -> recipe.Recipe:
    """Narrower networks on frozen MobileNetV2 and MiniLM features; tens of minutes on two cores."""
    return recipe.Recipe(
        name="mmach_pretrained_tiny",
        method=MmachConfig(
            image=towers.IMAGENET_MOBILENET, text=towers.MINILM, wide=512, narrow=256,
            label_hidden=1024,
        ),
        tokenizer=towers.MINILM_TOKENIZER,
        optimizer=_SGD,
        deepspeed=_NO_CLIPPING,
        train=recipe.TrainConfig(
            batch_size=128, epochs=8, select_by="hamming:mAP@all", patience=8, validation_items=500,
            checkpoint_every=500,
        ),
    )  # fmt: skip


def mmach_base() -> recipe.Recipe:
    """The published sizes: ResNet-34 and a sentence encoder, frozen, 200 epochs; one A100."""
    return recipe.Recipe(
        name="mmach_base",
        method=MmachConfig(
            image=ImageTowerConfig(
                name="resnet34", weights="hub:timm/resnet34.a1_in1k", frozen=True, image_size=224
            ),
            text=towers.MINILM,
        ),
        tokenizer=towers.MINILM_TOKENIZER,
        optimizer=_SGD,
        deepspeed=_NO_CLIPPING,
        train=recipe.TrainConfig(
            batch_size=128, epochs=200, workers=1, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="hamming:mAP@all", patience=200, checkpoint_every=2000,
        ),
    )  # fmt: skip
