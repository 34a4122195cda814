"""What a run learns from is chosen once, by its recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import ray.train.torch
import torch

from crossray.core.types import Batch, PretextBatch, TaughtBatch
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.tokenization import load_tokenizer
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER
from crossray.models.fitting import fitted, make_tokenizer
from crossray.recipes import STUDENTS, get_recipe
from crossray.training.source import training_source
from crossray.training.spec import RunSpec, TeacherSpec
from support.pairs import phantom_pairs
from support.teachers import untrained_teacher
from support.tiny import STUDENT, TINY, UNIMODAL


def recipe_of(name: str) -> Recipe:
    """A recipe for small models of one kind."""
    method = {"clip": TINY["clip"], "hier_unimodal": UNIMODAL, "student": STUDENT}[name]
    recipe = get_recipe("hier_tiny")
    return replace(recipe, method=method, augment=replace(recipe.augment, sentences=1.0))


@pytest.mark.parametrize(
    ("name", "batch"),
    [("clip", Batch), ("hier_unimodal", PretextBatch), ("student", TaughtBatch)],
)
def test_recipes_choose_their_source(
    name: str, batch: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method would be given batches that its losses cannot read, after minutes of preparation."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: torch.device("cpu"))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 24)
    teacher = None
    if name == "student":
        model = untrained_teacher(pairs, str(tmp_path / "teacher"))
        tokenizer = load_tokenizer(f"path:{model.local() / TOKENIZER}")
        config = get_recipe("student_tiny", STUDENTS).distillation
        teacher = TeacherSpec(model, replace(config, layer_map=((0, 0),)))
    else:
        tokenizer = make_tokenizer(recipe_of(name).tokenizer, pairs)
    recipe = fitted(recipe_of(name), tokenizer)
    spec = RunSpec(recipe, pairs, "run", tokenizer, teacher=teacher, store=str(tmp_path))
    source = training_source(spec)
    method = source.trainable(recipe.method.build())
    (drawn, *_) = source.loader(BatchSampler(len(source), 4, 1, 0))
    assert type(drawn) is batch
    terms = method.losses(drawn)
    assert all(term.isfinite() for term in terms.values())
    quality = source.validate(method, "cpu", torch.float32)
    assert set(quality) >= ({"image"} if name == "hier_unimodal" else {"image_to_text"})
