"""HIER's stage 1: what each task learns from, what follows slowly, what is published."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from crossray.core.errors import CrossRayError
from crossray.core.types import Batch
from crossray.encoders.momentum import MomentumEncoder
from crossray.methods.hier import HierUnimodal, HierUnimodalConfig
from crossray.methods.hier.losses import rising_momentum
from crossray.methods.hier.unimodal import IMAGE_TASKS, turned
from crossray.methods.recipe import DeepSpeedConfig
from crossray.recipes import first_stage, get_recipe
from support.tiny import UNIMODAL, pretext_batch


def built(**changes: object) -> HierUnimodal:
    """The tiny model with some fields changed."""
    torch.manual_seed(0)
    return replace(UNIMODAL, **changes).build()  # type: ignore[arg-type]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_labels_are_the_turns_that_were_made(turns: int) -> None:
    """A wrong label would teach nothing and still bring the loss down to chance."""
    pixels = torch.arange(18.0).view(1, 2, 3, 3)
    found = turned(pixels, torch.tensor([turns]))
    for row in range(3):
        for column in range(3):
            y, x = row, column
            for _ in range(turns):  # a quarter turn takes (y, x) to (2 - x, y)
                y, x = 2 - x, y
            assert torch.equal(found[0, :, y, x], pixels[0, :, row, column])


def test_each_image_is_turned_by_its_own_turns() -> None:
    """The rows of a batch must not be mixed up."""
    torch.manual_seed(1)
    pixels, turns = torch.randn(7, 3, 4, 4), torch.tensor([3, 0, 1, 1, 2, 0, 3])
    found = turned(pixels, turns)
    for row, times in enumerate(turns.tolist()):
        assert torch.equal(found[row], torch.rot90(pixels[row], times, dims=(1, 2)))


TASKS = [(), ("rotation",), ("inpainting", "contrast"), IMAGE_TASKS]


@pytest.mark.parametrize("objective", ["moco", "byol"])
@pytest.mark.parametrize("tasks", TASKS)
def test_every_task_can_be_left_out(tasks: tuple[str, ...], objective: str) -> None:
    """An ablation that still trains the task it leaves out would show no difference."""
    method = built(image_tasks=tasks, objective=objective)
    terms = method.losses(pretext_batch(4))
    assert set(terms) == {*tasks, "masked_terms", "sentence_order"}
    sum(terms.values()).backward()  # type: ignore[union-attr]
    for name, parameter in method.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
        learns = not name.startswith("slow_encoder.")
        if name.startswith("image_tower."):
            learns = bool(tasks)
        assert not parameter.requires_grad or learns, name


def test_text_tasks_can_be_left_out() -> None:
    """Films without reports must train image towers alone."""
    method = built(masking="none", sentence_order=0.0)
    assert set(method.losses(pretext_batch(4))) == set(IMAGE_TASKS)
    assert not any(p.requires_grad for p in method.text_tower.parameters())
    with pytest.raises(CrossRayError, match="neither images nor texts have a pretext task"):
        built(masking="none", sentence_order=0.0, image_tasks=())
    with pytest.raises(CrossRayError, match="hidden_area is"):
        built(hidden_area=1.0)


def test_weights_scale_their_terms() -> None:
    """A weight that is not applied would go unnoticed in a sum."""
    whole = built().losses(pretext_batch(4))
    scaled = built(rotation_weight=2.0, inpainting_weight=3.0, sentence_order=5.0)
    found = scaled.losses(pretext_batch(4))
    factors = {"rotation": 2.0, "inpainting": 3.0, "sentence_order": 10.0}
    for name, value in whole.items():
        assert_close(found[name], factors.get(name, 1.0) * value)


def test_slow_weights_follow_exactly() -> None:
    """Xi <- mu xi + (1 - mu) theta, of weights and of the statistics of batch norms."""
    method = built(momentum=0.9)
    before = {n: v.clone() for n, v in method.slow_encoder.state_dict().items()}
    method.losses(pretext_batch(4))
    with torch.no_grad():
        for parameter in method.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    method.after_step(0.1)
    fast = {f"tower.{n}": v for n, v in method.image_tower.state_dict().items()}
    fast |= {f"head.{n}": v for n, v in method.projection.state_dict().items()}
    slow = method.slow_encoder.state_dict()
    assert slow.keys() == fast.keys() == before.keys()
    for name, value in slow.items():
        if value.is_floating_point():
            assert_close(value, 0.9 * before[name] + 0.1 * fast[name], rtol=1e-6, atol=1e-7)
        else:
            assert torch.equal(value, fast[name])
    assert not any(p.requires_grad for p in method.slow_encoder.parameters())


def test_target_of_byol_follows_by_its_schedule() -> None:
    """At the end of training the target stands still."""
    method = built(objective="byol", byol_momentum=0.5)
    for progress in (0.0, 0.5, 1.0):
        slow = method.slow_encoder.head[0].weight
        with torch.no_grad():
            method.projection[0].weight.add_(1.0)
        before, fast = slow.clone(), method.projection[0].weight
        method.after_step(progress)
        momentum = rising_momentum(0.5, progress)
        assert_close(slow, momentum * before + (1 - momentum) * fast)
    assert torch.equal(slow, before), "mu is 1 at the end"


def test_keys_of_a_step_enter_the_queue_after_it() -> None:
    """Keys that were negatives of their own step would push an image from itself."""
    method = built(queue=6)
    before, batches = method.queue_ND.clone(), [pretext_batch(4, seed) for seed in (1, 2)]
    keys = [_keys(method, batch) for batch in batches]
    for batch in batches:  # two micro-batches of a step
        method.losses(batch)
        assert torch.equal(method.queue_ND, before)
    method.after_step(0.5)
    assert_close(method.queue_ND, torch.cat([*keys])[-6:])
    method.eval()
    method.losses(batches[0])
    method.after_step(0.6)
    assert_close(method.queue_ND, torch.cat([*keys])[-6:])


def _keys(method: HierUnimodal, batch: Batch) -> torch.Tensor:
    keys: torch.Tensor = method.slow_encoder(batch.views_BVCYX[:, 1])
    assert_close(keys.norm(dim=1), torch.ones(len(keys)))
    assert not keys.requires_grad
    return keys


def test_a_key_tells_nothing_of_its_batch() -> None:
    """Batch statistics in keys would give the positive away among keys of other batches."""
    method = built().train()
    assert isinstance(method.slow_encoder, MomentumEncoder)
    pixels = torch.randn(4, 3, 64, 64)
    assert_close(method.slow_encoder(pixels)[:1], method.slow_encoder(pixels[:1]))


def test_measures_count_right_answers() -> None:
    """A figure over 100 % was a mistake in counting; the fallbacks of training are told too."""
    method, batch = built().eval(), pretext_batch(6)
    found = method.measure(batch)
    assert found["image"]["rotation accuracy"][1] == 6
    assert found["text"]["masked token accuracy"][1] == (batch.targets_BT >= 0).sum()
    assert found["text"]["sentence order accuracy"][1] == (batch.ordered_B >= 0).sum()
    with torch.no_grad():
        method.rotation_head.weight.zero_()
        method.rotation_head.bias.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    right, _ = method.measure(batch)["image"]["rotation accuracy"].tolist()
    assert right == (batch.turns_B == 1).sum()
    assert method.counted() == {"text": {"without clinical terms": 0.0}}
    method.train()
    method.losses(batch)
    share = batch.fallback_B.float().mean().item()
    assert 0 < share < 1
    assert method.counted()["text"]["without clinical terms"] == pytest.approx(share)


def test_texts_have_no_place_among_images_yet() -> None:
    """Scores of unaligned towers are noise that looks like a result."""
    method, batch = built(), pretext_batch(2)
    assert method.encode_image(batch.image).shape == (2, UNIMODAL.embedding)
    with pytest.raises(CrossRayError, match="no space that images and texts share"):
        method.encode_text(batch.text)


def test_recipes_fit_their_second_stage() -> None:
    """Towers of other sizes could not be taken over by --init."""
    for name in ("hier_tiny", "hier_base"):
        aligned, unimodal = get_recipe(name), get_recipe(first_stage(name))
        assert isinstance(unimodal.method, HierUnimodalConfig)
        assert unimodal.method.image == aligned.method.image
        assert unimodal.method.text == aligned.method.text
        assert unimodal.tokenizer == aligned.tokenizer
        unimodal.check()
    assert first_stage("hier_unimodal_tiny") == "hier_unimodal_tiny"
    with pytest.raises(CrossRayError, match="has no unimodal stage"):
        first_stage("cca")
    recipe = get_recipe("hier_unimodal_base")
    with pytest.raises(CrossRayError, match="needs whole weights in float32"):
        replace(recipe, deepspeed=DeepSpeedConfig(bf16=True)).check()
    with pytest.raises(CrossRayError, match="no pairs to select an epoch by"):
        replace(recipe, train=replace(recipe.train, select_by="R@10")).check()
