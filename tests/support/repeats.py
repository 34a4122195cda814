"""Repeated runs in a size that a test can afford."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from scipy import stats

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.config import to_dict
from crossray.encoders.text import BertShape
from crossray.methods.hier import HierConfig
from crossray.methods.recipe import Recipe
from crossray.models.artifact import TOKENIZER, WEIGHTS, method_to_dict, save_weights
from crossray.recipes import get_recipe
from crossray.stages.pretrain import Pretrain


def small_recipe() -> Recipe:
    """HIER in a size that one process trains in seconds."""
    recipe = get_recipe("hier_tiny")
    assert isinstance(recipe.method, HierConfig)
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0)
    method = replace(
        recipe.method,
        image=replace(recipe.method.image, image_size=64),
        text=replace(recipe.method.text, shape=shape),
        levels=("region_word", "global"),
        info_nce=("region_word", "global"),
        grids=(2,),
        embedding=16,
    )
    train = replace(recipe.train, epochs=1, batch_size=16, validation_items=10, workers=1)
    return replace(recipe, method=method, train=train)


def assert_sums_up(report: Artifact, runs: list[str]) -> None:
    """The report is about these runs and no others."""
    content = json.loads((report.local() / "report.json").read_text())
    singles = [open_artifact(f"{report.uri}-runs/{run}/report") for run in runs]
    assert [parent.id for parent in report.manifest.parents[1:]] == [r.id for r in singles]
    assert list(content["runs"]) == runs
    for direction in ("image_to_text", "text_to_image"):
        for metric, mean in content["metrics"][direction].items():
            values = [single.manifest.metrics[direction][metric] for single in singles]
            assert mean == pytest.approx(sum(values) / len(values))
            assert [run[direction][metric] for run in content["runs"].values()] == values
            if len(set(values)) > 1:
                ends = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
                assert content["intervals"][direction][metric] == pytest.approx(tuple(ends))
        assert report.manifest.metrics[direction] == content["metrics"][direction]
    assert "R@10 image to text" in report.manifest.metrics["headline"]


def untrained(job: Pretrain) -> Artifact:
    """What `job` would publish, with the weights that it would start from."""
    made = job.spec()
    tokenizer, recipe = made.tokenizer, made.recipe
    config = {**to_dict(recipe), "method": method_to_dict(recipe.method)}
    torch.manual_seed(recipe.train.seed)
    with create(job.out, "teacher", config, made.parents) as draft:
        save_weights(dict(recipe.method.build().state_dict()), draft.path / WEIGHTS)
        if tokenizer is not None:
            tokenizer.save(draft.path / TOKENIZER)
        draft.metrics["seconds"] = 1.0
    return open_artifact(job.out)


def no_training(job: Pretrain) -> Artifact:
    """Stands in for a training that must not happen."""
    raise AssertionError(f"{job.out} is trained again")
