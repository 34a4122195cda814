"""Layers of a vision transformer, handed over to the student's trunk."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossray.core.errors import CrossRayError
from crossray.core.types import Representation
from crossray.distill import Distillation, DistillationConfig
from crossray.distill.teacher_outputs import image_outputs
from crossray.encoders.image import ImageTower, ImageTowerConfig
from crossray.encoders.tower import Layers
from crossray.recipes import STUDENTS, get_recipe
from support.tiny import SHAPE, STUDENT, TEXT, TINY, batch_of, taught

VIT = ImageTowerConfig(name="test_vit", image_size=64)
STEM = replace(get_recipe("student_base", STUDENTS).method.image, name="test_vit", image_size=64)
PATCHED = replace(
    STUDENT, image=STEM, text=replace(TEXT, shape=replace(SHAPE, layers=2)), grid=None
)
CONFIG = DistillationConfig(layer_map=((1, 0),), image_layer_map=((0, 2), (1, 5)))


def distillation(config: DistillationConfig = CONFIG) -> Distillation:
    """A student of two layers before a vision transformer of six."""
    return Distillation(PATCHED.build(), replace(TINY["hier"], image=VIT).build(), config)


def test_a_tower_gives_the_states_and_maps_of_its_layers() -> None:
    """The last states, normalised, are the map; a map follows from the states before it."""
    torch.manual_seed(0)
    tower = ImageTower(VIT).eval()
    assert (tower.depth, tower.tokens) == (6, 17)
    pixels = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        plain = tower(pixels)
        with tower.recorded_layers() as layers:
            grid = tower(pixels)
        tower(pixels)
    assert len(layers.hidden) == len(layers.attention) == 6, "and no more once it is over"
    torch.testing.assert_close(grid, plain)
    last = tower.trunk.norm(layers.hidden[-1])[:, 1:]
    torch.testing.assert_close(last.mT.unflatten(2, (4, 4)), grid)
    block = tower.trunk.blocks[3]
    states = block.norm1(layers.hidden[2])
    query, key, _ = block.attn.qkv(states).unflatten(2, (3, block.attn.num_heads, -1)).unbind(2)
    scores = torch.einsum("bthd,bshd->bhts", query, key) * block.attn.head_dim**-0.5
    torch.testing.assert_close(layers.attention[3], scores.softmax(dim=3).mean(dim=1))


def test_a_cnn_has_no_layers() -> None:
    """Its stages are blocks too; they must not be taken for a transformer's."""
    assert ImageTower(ImageTowerConfig(name="mobilenetv2_100", image_size=64)).depth == 0


def test_layer_terms_are_those_of_a_plain_loop() -> None:
    """Both sums of section 5.3 over images, term by term and token by token."""
    torch.manual_seed(0)
    method, batch = distillation().eval(), batch_of(4)
    batch = taught(batch, method)
    terms = method.losses(batch)
    with method.student.recorded_layers() as layers:
        states = method.student.image_states(method.student.image_cells(batch.image))
    torch.testing.assert_close(layers.hidden[-1], states)
    hidden, attention = _loop(method, layers, batch.teacher.image_layers)
    assert terms["image_hidden"].item() == pytest.approx(0.1 * hidden, rel=1e-5)
    assert terms["image_attention"].item() == pytest.approx(0.1 * attention, rel=1e-5)


def _loop(method: Distillation, layers: Layers, taught: Representation) -> tuple[float, float]:
    hidden = attention = 0.0
    for linear, (own, other) in zip(method.image_hidden_maps, CONFIG.image_layer_map, strict=True):
        whole = taught[f"hidden_{other}"]
        for image in range(4):
            for token in range(17):
                gap = linear(layers.hidden[own][image, token]) - whole[image, token]
                hidden += gap.square().sum().item() / (4 * 17 * whole.shape[2])
            maps = layers.attention[own][image], taught[f"attention_{other}"][image]
            student, teacher = (each / each.norm() for each in maps)
            attention += (student - teacher).square().sum().item() / 4
    return hidden, attention


def test_every_parameter_learns_and_the_teacher_does_not() -> None:
    """A map without gradient would stop training on several GPUs."""
    torch.manual_seed(0)
    method = distillation().train()
    terms = method.losses(taught(batch_of(6), method))
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is None for p in method.teacher.parameters())
    idle = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
    alone = method.losses(taught(batch_of(6), method))["image_hidden"]
    (gradient,) = torch.autograd.grad(alone, [method.student.image_projection.weight])
    assert gradient.abs().sum() > 0


def test_what_is_taught_of_images_ends_in_the_score_inputs() -> None:
    """Recording must not change what the teacher says."""
    torch.manual_seed(0)
    teacher, batch = distillation().teacher, batch_of(3)
    plain, nothing = image_outputs(teacher, batch.image, ())
    recorded, layers = image_outputs(teacher, batch.image, {2, 5})
    assert nothing == {}
    assert set(layers) == {"hidden_2", "attention_2", "hidden_5", "attention_5"}
    for name, tensor in plain.items():
        torch.testing.assert_close(recorded[name], tensor)
    rows = layers["attention_5"].sum(dim=2)
    torch.testing.assert_close(rows, torch.ones_like(rows))


@pytest.mark.parametrize(
    ("student", "image", "layer_map", "words"),
    [
        (PATCHED, VIT, ((0, 6),), "image_layer_map names layer 6 of the teacher's image tower"),
        (PATCHED, VIT, ((2, 5),), "image_layer_map names layer 2 of the student's trunk"),
        (PATCHED, TINY["hier"].image, ((0, 0),), "which has no transformer layers"),
        (replace(PATCHED, grid=2), VIT, ((0, 0),), "5 tokens of an image and the teacher 17"),
    ],
)
def test_images_that_cannot_be_compared_are_refused(
    student: object, image: ImageTowerConfig, layer_map: tuple[tuple[int, int], ...], words: str
) -> None:
    """Hours of asking the teacher must not come before the error."""
    config = replace(CONFIG, image_layer_map=layer_map)
    with pytest.raises(CrossRayError, match=words):
        Distillation(student.build(), replace(TINY["hier"], image=image).build(), config)  # type: ignore[attr-defined]
