"""CMFG trained by two workers under Ray Train, from pairs to a report under its own protocol."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from safetensors.torch import load_file

from crossray.core.artifacts import Artifact, open_artifact
from crossray.encoders.text import BertShape
from crossray.methods.cmfg import Cmfg, CmfgConfig
from crossray.methods.recipe import Recipe
from crossray.models.artifact import WEIGHTS, load_model
from crossray.models.corpora import pair_corpus
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from support.pairs import phantom_pairs
from support.wholescores import PairByPair


def small_recipe() -> Recipe:
    """CMFG in a size that trains in seconds, its towers in a phase of their own."""
    recipe = get_recipe("cmfg_tiny")
    assert isinstance(recipe.method, CmfgConfig)
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.0)
    method = replace(
        recipe.method,
        image=replace(recipe.method.image, image_size=64),
        text=replace(recipe.method.text, shape=shape),
        embedding=16,
        grid=2,
        tower_lr=0.5,
    )
    train = replace(recipe.train, epochs=2, batch_size=16, validation_items=10, workers=1)
    return replace(recipe, method=method, train=train)


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_pairs_to_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both phases learn under DeepSpeed, and re-ranking is part of what a report measures."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    phantom_pairs(str(tmp_path / "pairs"), 100)
    Pretrain("pairs", "teacher", small_recipe()).run()
    teacher = open_artifact(str(tmp_path / "teacher"), "teacher")
    method = load_model(teacher).method
    assert isinstance(method, Cmfg)
    torch.manual_seed(small_recipe().train.seed)
    start = dict(method.config.build().named_parameters())
    learned = load_file(tmp_path / "teacher" / WEIGHTS)
    for name in ("graph.attention.query.shared.weight", "graph.layers.1.weight.weight",
                 "logit_scale.pairwise", "patch_projection.linear.weight"):  # fmt: skip
        assert not torch.equal(learned[name], start[name]), name
    for tower in ("image_tower.", "text_tower."):
        changed = [
            n for n in start if n.startswith(tower) and not torch.equal(learned[n], start[n])
        ]
        assert changed, tower
    expected = average_precisions(teacher, open_artifact(str(tmp_path / "pairs")))
    metrics = {}
    for rerank in (0, 1000):
        report = Evaluate("teacher", "pairs", f"report-{rerank}", protocol="cmfg", rerank=rerank)
        report.run()
        content = json.loads((tmp_path / f"report-{rerank}" / "report.json").read_text())
        metrics[rerank] = content["metrics"]
        for values in content["metrics"].values():
            assert 0 <= values["R@5"] <= values["R@10"] <= 1
    assert metrics[0] != metrics[1000], "the re-ranker must take part"
    for direction, value in expected.items():
        assert metrics[1000][direction]["mAP@all"] == pytest.approx(value, abs=1e-4), direction


def average_precisions(teacher: Artifact, pairs: Artifact) -> dict[str, float]:
    """The mAP by the own item over the test split, each pair scored by itself."""
    model = PairByPair(teacher)
    loaded = model.model
    corpus = pair_corpus(loaded.method.config, pairs, "test", loaded.tokenizer)
    rows = range(len(corpus))
    images = [model.image(corpus.picture(row)) for row in rows]
    texts = [model.text(corpus.text(row, 0)) for row in rows]
    keys = corpus.keys_N.tolist()
    precisions: dict[str, list[float]] = {"image_to_text": [], "text_to_image": []}
    for row in rows:
        for direction, scores in (
            ("image_to_text", model.scores(images[row], "text", texts)),
            ("text_to_image", model.scores(texts[row], "image", images)),
        ):
            order = sorted(rows, key=lambda other: -scores[other])
            ranks = [rank for rank, other in enumerate(order, 1) if keys[other] == keys[row]]
            precisions[direction].append(fmean(n / rank for n, rank in enumerate(ranks, 1)))
    return {direction: fmean(values) for direction, values in precisions.items()}
