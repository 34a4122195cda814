"""Recipes of students."""

from __future__ import annotations

from crossray.data.transforms import AugmentConfig
from crossray.distill import DistillationConfig
from crossray.encoders.image import ImageTowerConfig
from crossray.encoders.text import BertShape, TextTowerConfig
from crossray.methods.recipe import DeepSpeedConfig, OptimizerConfig, TrainConfig
from crossray.methods.student import StudentConfig
from crossray.methods.towers import IMAGENET_MOBILENET, MINILM
from crossray.stages.distill import StudentRecipe

PATCH_STEM = ImageTowerConfig(
    name="vit_base_patch16_224",
    options={
        "depth": 0, "class_token": False, "pos_embed": "none", "global_pool": "avg",
        "final_norm": False,
    },
)  # fmt: skip


def student_tiny() -> StudentRecipe:
    """A small CNN's cells and sub-words in a two-layer trunk; minutes on two cores.

    It starts from its teacher's CNN, and reads some of a report's sentences at a time: people ask
    in one sentence, and each of them is learnt better (docs/log.md).
    """
    return StudentRecipe(
        name="student_tiny",
        method=StudentConfig(
            image=ImageTowerConfig(name="test_resnet", image_size=64, level=3),
            text=TextTowerConfig(
                shape=BertShape(layers=2, width=64, heads=2, ffn_width=128, dropout=0.0)
            ),
            embedding=256,
            task="info_nce",
        ),
        augment=AugmentConfig(min_scale=0.9, rotation=0.0, sentences=0.3),
        optimizer=OptimizerConfig(lr=4e-3),
        train=TrainConfig(
            batch_size=64, epochs=8, select_by="last", validation_items=128, checkpoint_every=300
        ),
        distillation=DistillationConfig(layer_map=(), from_teacher=True),
    )


def student_pretrained_small() -> StudentRecipe:
    """MiniLM's six layers as the trunk, MobileNetV2's cells projected into it.

    Trunk and teacher share MiniLM, whose states are no news to the student: on photos it learns
    more from the teacher's scores alone, weighed three times (docs/log.md).
    """
    return StudentRecipe(
        name="student_pretrained_small",
        method=StudentConfig(
            image=IMAGENET_MOBILENET,
            text=TextTowerConfig(weights=MINILM.weights),
            embedding=512,
            grid=2,
            task="info_nce",
        ),
        optimizer=OptimizerConfig(lr=3e-4),
        train=TrainConfig(
            batch_size=128, epochs=20, select_by="last", checkpoint_every=500, validation_items=200
        ),
        distillation=DistillationConfig(layer_map=(), contrastive=3.0, hubness=0.25),
    )


def student_base() -> StudentRecipe:
    """The full size, 47.8 M: six layers of width 768 over patches and sub-words, for A100s."""
    shape = BertShape(layers=6, width=768, heads=12, ffn_width=3072, token_width=128)
    return StudentRecipe(
        name="student_base",
        method=StudentConfig(image=PATCH_STEM, text=TextTowerConfig(shape=shape)),
        optimizer=OptimizerConfig(lr=1e-4, weight_decay=0.01),
        deepspeed=DeepSpeedConfig(zero_stage=1, bf16=True),
        train=TrainConfig(
            batch_size=512, epochs=50, workers=4, use_gpu=True, cpus_per_worker=8,
            loader_processes=8, select_by="mAP@all", patience=10, checkpoint_every=500,
        ),
        distillation=DistillationConfig(image_layer_map=((1, 3), (3, 7), (5, 11))),
    )  # fmt: skip
