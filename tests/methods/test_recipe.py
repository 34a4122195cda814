"""Recipes, and the DeepSpeed configuration they become."""

from __future__ import annotations

from dataclasses import replace

import deepspeed
import numpy as np
import pytest
import torch

from crossray.core.config import to_dict
from crossray.core.errors import CrossRayError
from crossray.encoders.image import ImageTower
from crossray.encoders.text import TextTower
from crossray.methods.recipe import DeepSpeedConfig, TrainConfig
from crossray.models.artifact import method_from_dict, method_to_dict
from crossray.recipes import RECIPES, STUDENTS, get_recipe


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_is_whole(name: str) -> None:
    """A recipe that DeepSpeed or a manifest refuses wastes its user's cluster."""
    recipe = get_recipe(name)
    assert recipe.name == name
    recipe.check()
    to_dict(recipe)
    assert method_from_dict(method_to_dict(recipe.method), "test") == recipe.method


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_deepspeed_accepts_the_configuration(name: str) -> None:
    """GPU recipes cannot run here; their configuration is read by DeepSpeed's own parser."""
    recipe = get_recipe(name)
    config = recipe.deepspeed_dict(steps=100)
    assert config["gradient_clipping"] == recipe.deepspeed.gradient_clipping
    config |= {"train_batch_size": recipe.deepspeed.accumulation}
    parsed = deepspeed.DeepSpeedConfig(config)
    assert parsed.zero_config.stage == recipe.deepspeed.zero_stage
    assert parsed.bfloat16_config.enabled == recipe.deepspeed.bf16
    assert parsed.gradient_clipping == recipe.deepspeed.gradient_clipping
    offload = parsed.zero_config.offload_optimizer
    assert (offload is not None) == recipe.deepspeed.offload_optimizer


@pytest.mark.parametrize("name", ["mmach_pretrained_tiny", "mmach_base"])
def test_mmach_falls_linearly_from_epoch_to_epoch(name: str) -> None:
    """MMACH's schedule: from 10^-1.5 to 10^-6, the same rate within an epoch."""
    recipe = get_recipe(name)
    epochs, steps = recipe.train.epochs, recipe.train.epochs * 79
    rates = [recipe.optimizer.lr * recipe.lr_factor(step, steps) for step in range(steps + 1)]
    assert rates[0] == pytest.approx(10**-1.5)
    assert rates[steps - 1] == pytest.approx(10**-6)
    assert rates[steps] == rates[steps - 1]
    expected = np.linspace(10**-1.5, 10**-6, epochs).repeat(79)
    assert rates[:steps] == pytest.approx(expected.tolist())
    assert "scheduler" not in recipe.deepspeed_dict(steps)


@pytest.mark.parametrize(
    ("name", "layers", "millions"), [("hier_base", 12, 86), ("hier_large", 24, 303)]
)
def test_large_towers_have_their_size(name: str, layers: int, millions: int) -> None:
    """`hier_base` has twelve layers a tower; `hier_large` the 307 M image tower (ViT-L)."""
    method = get_recipe(name).method
    with torch.device("meta"):
        text = TextTower(replace(method.text, vocab_size=30_000, max_tokens=256), False)
        image = ImageTower(method.image, False)
    assert text.trunk.config.num_hidden_layers == 12
    assert len(image.trunk.blocks) == layers
    found = sum(p.numel() for p in image.parameters()) // 10**6
    assert abs(found - millions) <= 1


@pytest.mark.parametrize(
    "train", [TrainConfig(workers=0), TrainConfig(epochs=0), TrainConfig(batch_size=1),
              TrainConfig(batch_size=7, workers=2)],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(train: TrainConfig) -> None:
    """Better one sentence now than a stack trace from a worker later."""
    with pytest.raises(CrossRayError):
        replace(get_recipe("hier_tiny"), train=train).check()


def test_accumulation_must_divide_the_batch() -> None:
    """DeepSpeed would refuse it on every worker."""
    recipe = replace(get_recipe("hier_tiny"), deepspeed=DeepSpeedConfig(accumulation=3))
    with pytest.raises(CrossRayError, match="multiple of 6"):
        recipe.check()


def test_unknown_recipe_is_named() -> None:
    """The sentence lists what there is."""
    with pytest.raises(CrossRayError, match="hier_tiny"):
        get_recipe("hier_huge")


def test_tokens_that_the_teacher_did_not_see_are_not_compared() -> None:
    """Its states would be compared with those of other words, in silence."""
    recipe = get_recipe("student_tiny", STUDENTS)
    compared = replace(recipe.distillation, layer_map=((1, 0),))
    with pytest.raises(CrossRayError, match=r"augment\.sentences=0\.3"):
        replace(recipe, distillation=compared).check()
    whole = replace(recipe.augment, sentences=1.0)
    replace(recipe, augment=whole, distillation=compared).check()
