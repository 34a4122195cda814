"""Recipes of MMDL."""

from dataclasses import replace

from crossray.methods import towers
from crossray.methods.mmdl.model import MmdlConfig
from crossray.methods.recipe import DeepSpeedConfig, OptimizerConfig, Recipe, TrainConfig

# SDML's settings, with one learning rate because most layers are shared; no weight decay: Adam.
_ADAM = OptimizerConfig(
    lr=1e-4, weight_decay=0.0, betas=(0.5, 0.999), warmup=0.0, schedule="constant"
)
_TINY_TRAIN = TrainConfig(
    batch_size=32, epochs=7, validation_items=128, select_by="mAP@10[found]", checkpoint_every=300
)
_TINY = MmdlConfig(image=towers.SMALL_CNN, text=towers.SMALL_BERT, hidden=256, embedding=64)
_PRETRAINED = MmdlConfig(
    image=towers.IMAGENET_MOBILENET, text=towers.MINILM, hidden=2048, out_act="l2"
)


def mmdl_tiny() -> Recipe:
    """From scratch on two CPU cores in minutes: a small CNN and a one-layer BERT."""
    return Recipe(
        name="mmdl_tiny",
        method=_TINY,
        tokenizer=towers.SMALL_TOKENIZER,
        augment=towers.MILD_AUGMENT,
        optimizer=replace(_ADAM, lr=1e-3, warmup=0.1, schedule="cosine"),
        train=_TINY_TRAIN,
    )


def mmdl_pretrained_tiny() -> Recipe:
    """On frozen MobileNetV2 and MiniLM; minutes on two cores with cached features.

    Wider layers, outputs of unit length and a falling learning rate are what validation photos
    chose.
    """
    return Recipe(
        name="mmdl_pretrained_tiny",
        method=_PRETRAINED,
        tokenizer=towers.MINILM_TOKENIZER,
        optimizer=replace(_ADAM, weight_decay=0.1, warmup=0.1, schedule="cosine"),
        train=TrainConfig(
            batch_size=100, epochs=10, select_by="mAP@10[found]", patience=10, checkpoint_every=500
        ),
    )


def image_mmdl_pretrained_tiny() -> Recipe:
    """Image-MMDL: `mmdl_pretrained_tiny` without texts."""
    return replace(
        mmdl_pretrained_tiny(),
        name="image_mmdl_pretrained_tiny",
        method=replace(_PRETRAINED, modalities=("image",)),
    )


def mmdl_base() -> Recipe:
    """DenseNet121, fine-tuned, on what VGG16 finds in the film, and a BERT of four layers; A100s.

    Give the towers weights with `--method.image.weights` and `--method.image.localiser-weights`;
    `--init` takes an image tower that `image_ranking_base` has fine-tuned.
    """
    return Recipe(
        name="mmdl_base",
        method=MmdlConfig(
            image=towers.LOCALISED_DENSENET,
            text=towers.MMDL_BERT,
        ),
        tokenizer=towers.BASE_TOKENIZER,
        optimizer=_ADAM,
        deepspeed=DeepSpeedConfig(zero_stage=1, bf16=True),
        train=TrainConfig(
            batch_size=128, epochs=200, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@10[found]", patience=10, checkpoint_every=1000,
        ),
    )  # fmt: skip


def ath_mmdl_tiny() -> Recipe:
    """ATH-MMDL: MMDL on the features before ATH's hash layer; give `--init` a model of `ath_tiny`.

    The tower is frozen as it came.
    """
    method = replace(_TINY, image=replace(towers.ATH_IMAGE, frozen=True))
    return replace(mmdl_tiny(), name="ath_mmdl_tiny", method=method)
