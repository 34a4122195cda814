"""MMACH on Ray Train: from labelled pairs to codes that a report judges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.encoders.text import BertShape
from crossray.evaluation import average_precision
from crossray.methods.mmach import Mmach, MmachConfig
from crossray.methods.recipe import Recipe
from crossray.models.artifact import WEIGHTS, load_method, load_model
from crossray.models.corpora import pair_corpus
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from support.pairs import phantom_pairs


def small_recipe(bits: int = 16) -> Recipe:
    """MMACH from scratch in a size that trains in seconds."""
    recipe = get_recipe("mmach_tiny")
    assert isinstance(recipe.method, MmachConfig)
    shape = BertShape(layers=1, width=32, heads=2, ffn_width=32, dropout=0.1)
    method = replace(
        recipe.method,
        image=replace(recipe.method.image, image_size=64),
        text=replace(recipe.method.text, shape=shape),
        bits=bits, scales=(3, 2), wide=32, narrow=16, label_hidden=32,
    )  # fmt: skip
    train = replace(
        recipe.train, epochs=1, batch_size=16, checkpoint_every=3, validation_items=20, workers=2
    )
    return replace(recipe, method=method, train=train)


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_pairs_to_judged_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three passes on two workers, a teacher without labels' parts, and its codes in a report."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 100)
    teacher = Pretrain("pairs", "teacher", small_recipe()).run()
    passes, items = 3, pairs.manifest.metrics["splits"]["train"]
    assert teacher.manifest.metrics["steps"] == passes * -(-items // 16)
    method = load_method(teacher)
    assert isinstance(method, Mmach)
    assert method.config.labels == tuple(sorted(pairs.manifest.metrics["labels"]))
    with safe_open(teacher.local() / WEIGHTS, "pt") as weights:
        assert not any("label" in name or "_NK" in name for name in weights.keys())  # noqa: SIM118
    report = Evaluate("teacher", "pairs", "report", protocol="mmach", codes=16).run()
    content = json.loads((report.local() / "report.json").read_text())
    for direction, value in average_precisions(teacher, pairs).items():
        assert content["metrics"][direction]["mAP@all"] == pytest.approx(value), direction
    with pytest.raises(CrossRayError, match="codes of 16 bits, not 64"):
        Evaluate("teacher", "pairs", "other", protocol="mmach", codes=64).run()
    assert open_artifact(report.uri).manifest.parents[0].id == teacher.id


def average_precisions(teacher: Artifact, pairs: Artifact) -> dict[str, float]:
    """The mAP of test items' codes among those of other splits, bits compared one by one."""
    model = load_model(teacher)
    bits: dict[str, list[np.ndarray]] = {"image": [], "text": []}
    labels: list[list[set[str]]] = []
    for splits in (["test"], ["train", "val"]):
        corpora = [pair_corpus(model.method.config, pairs, s, model.tokenizer) for s in splits]
        batches = [
            (
                corpus.collate_images([corpus.image(row) for row in range(len(corpus))]),
                corpus.collate_texts([corpus.text(row, 0) for row in range(len(corpus))]),
            )
            for corpus in corpora
        ]
        with torch.inference_mode():
            bits["image"].append(
                np.concatenate([model.method.encode_image(i).numpy() >= 0 for i, _ in batches])
            )
            bits["text"].append(
                np.concatenate([model.method.encode_text(t).numpy() >= 0 for _, t in batches])
            )
        labels.append([set(names) for corpus in corpora for names in corpus.labels])
    relevant = np.array([[bool(own & other) for other in labels[1]] for own in labels[0]])
    found = {}
    for query, item in (("image", "text"), ("text", "image")):
        distances = (bits[query][0][:, None] != bits[item][1][None]).sum(axis=2)
        values = average_precision(-distances, relevant, ties="expected")
        labelled = np.array([bool(names) for names in labels[0]])
        found[f"{query}_to_{item}"] = float(np.nan_to_num(values)[labelled].mean())
    return found
