"""Stage 1 without pairs, stage 2 from it on masks of structures, through Ray Train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from crossray.core.artifacts import open_artifact
from crossray.data.splits.splitters import AnnotatedFraction
from crossray.methods.hier import HierConfig, HierUnimodalConfig
from crossray.methods.hier.config import LEVELS
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER, WEIGHTS, load_method
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.stages.split import resplit
from support.pairs import phantom_pairs, read_pairs
from support.repeats import small_recipe


def unimodal_recipe(aligned: Recipe) -> Recipe:
    """Stage 1 of a recipe, in a size that one process trains in seconds."""
    recipe = get_recipe("hier_unimodal_tiny")
    assert isinstance(recipe.method, HierUnimodalConfig)
    method = replace(
        recipe.method,
        image=aligned.method.image,
        text=aligned.method.text,
        embedding=8,
        hidden=16,
        queue=32,
        decoder=8,
        sentence_order=0.1,
    )
    return replace(recipe, method=method, train=replace(aligned.train, select_by="last"))


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_stage_2_starts_from_stage_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs that are too few are what stage 1 is for: it must learn, be taken over and be named."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    whole = phantom_pairs(str(tmp_path / "whole"), 120, masks=True)
    pairs = resplit(whole, AnnotatedFraction(0.4), str(tmp_path / "pairs"))
    small = small_recipe()
    assert isinstance(small.method, HierConfig)
    aligned = replace(
        small, method=replace(small.method, levels=LEVELS, regions="masks", structures="masks")
    )
    stage_1 = Pretrain("pairs", "stage-1", unimodal_recipe(aligned)).run()
    measured = stage_1.manifest.metrics["validation"]
    assert set(measured["image"]) == {"rotation accuracy", "inpainting difference"}
    assert set(measured["text"]) == {
        "masked token accuracy", "sentence order accuracy", "without clinical terms",
    }  # fmt: skip
    assert measured["text"]["without clinical terms"] < 0.1
    assert stage_1.manifest.metrics["headline"]
    seen = load_file(stage_1.local() / WEIGHTS)["texts_seen"]
    assert seen[1] == stage_1.manifest.metrics["steps"] * 16
    stage_2 = Pretrain("pairs", "stage-2", aligned, init="stage-1").run()
    assert [parent.id for parent in stage_2.manifest.parents] == [pairs.id, stage_1.id]
    words = [(artifact.local() / TOKENIZER).read_text() for artifact in (stage_1, stage_2)]
    assert words[0] == words[1]
    torch.manual_seed(aligned.train.seed)
    table = "text_tower.trunk.embeddings.word_embeddings.weight"
    first, second, fresh = (
        load_file(stage_1.local() / WEIGHTS)[table],
        load_file(stage_2.local() / WEIGHTS)[table],
        load_method(stage_2).config.build().state_dict()[table],
    )
    assert (second - first).norm() < (fresh - first).norm(), "it is nearer to what it started from"
    label = read_pairs(pairs, ["labels"], "test")["labels"].to_pylist()[0][0]
    report = Evaluate("stage-2", "pairs", "report", query_labels=label).run()
    assert report.manifest.config["query_labels"] == [label]
    assert any("no other label makes an item relevant" in note for note in report.manifest.notes)
    assert open_artifact(report.uri).manifest.metrics["items"] > 0
