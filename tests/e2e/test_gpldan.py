"""GPLDAN from a file of vectors to a report: two optimisers that alternate, under Ray Train."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from crossray.cli import main
from crossray.cli.jobs import evaluate_job
from crossray.core.artifacts import open_artifact
from crossray.methods.gpldan import GpldanConfig
from crossray.methods.recipe import Recipe
from crossray.recipes import get_recipe
from crossray.stages.pretrain import Pretrain
from support.sweeps import write_vectors


def small_recipe() -> Recipe:
    """The recipe for frozen features in a size that one process trains in seconds."""
    recipe = get_recipe("gpldan_pretrained_tiny")
    assert isinstance(recipe.method, GpldanConfig)
    method = replace(recipe.method, embedding=16, attention_width=8, classifier_width=16)
    train = replace(recipe.train, epochs=8, batch_size=32, workers=1)
    return replace(recipe, method=method, train=train)


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_vectors_train_and_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels judge, and choose an epoch; what is found without them is far above chance."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    write_vectors(tmp_path / "vectors.npz")
    keys = ["--image-key", "images", "--text-key", "texts", "--label-key", "labels"]
    main(["ingest", "features", str(tmp_path / "vectors.npz"), *keys, "--out", "features"])
    teacher = Pretrain(None, "teacher", small_recipe(), features="features").run()
    assert teacher.manifest.metrics["headline"]
    weights = open_artifact(str(tmp_path / "teacher"), "teacher").manifest.config["method"]
    assert weights["name"] == "gpldan"
    ask = ["--model", "teacher", "--features", "features", "--protocol", "gpldan"]
    evaluate_job([*ask, "--out", "report"])
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    for direction in ("image_to_text", "text_to_image"):
        chance = report["baseline"][direction]["mAP@50[found]"]
        assert report["metrics"][direction]["mAP@50[found]"] > chance + 0.2
    assert set(report["reference"]["metrics"]) >= {"image_to_text", "text_to_image"}
