"""One recipe over seeds and over folds, started twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.encoders.text import BertShape
from crossray.methods.hier import HierConfig
from crossray.recipes import get_recipe
from crossray.training.config import Recipe
from crossray.training.evaluate import Evaluate
from crossray.training.pretrain import Pretrain
from crossray.training.repeat import Repeat
from support.pairs import phantom_pairs, read_pairs

SIDES = ("image_to_text", "text_to_image")


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
        grids=(2,),
        embedding=16,
    )
    train = replace(recipe.train, epochs=1, batch_size=16, validation_items=10, workers=1)
    return replace(recipe, method=method, train=train)


def no_training(job: Pretrain) -> Artifact:
    """Stands in for a training that must not happen."""
    raise AssertionError(f"{job.out} is trained again")


def assert_sums_up(report: Artifact, runs: list[str]) -> None:
    """The report is about these runs and no others."""
    content = json.loads((report.local() / "report.json").read_text())
    singles = [open_artifact(f"{report.uri}-runs/{run}/report") for run in runs]
    assert [parent.id for parent in report.manifest.parents[1:]] == [r.id for r in singles]
    assert list(content["runs"]) == runs
    for direction in SIDES:
        for metric, mean in content["metrics"][direction].items():
            values = [single.manifest.metrics[direction][metric] for single in singles]
            assert mean == pytest.approx(sum(values) / len(values))
            assert [run[direction][metric] for run in content["runs"].values()] == values
            if len(set(values)) > 1:
                ends = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
                assert content["intervals"][direction][metric] == pytest.approx(tuple(ends))
        assert report.manifest.metrics[direction] == content["metrics"][direction]
    assert "R@10 image to text" in report.manifest.metrics["headline"]


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_seeds_are_resumed_and_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four finished runs of five must not be lost with the fifth."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 100)
    job = Repeat("pairs", "repeat", small_recipe(), seeds=2)
    evaluate = Evaluate.run

    def interrupted(step: Evaluate) -> Artifact:
        if "seed-1" in step.out:
            raise KeyboardInterrupt
        return evaluate(step)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluate, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.run()
    assert not (tmp_path / "repeat").exists()
    with monkeypatch.context() as patch:
        patch.setattr(Pretrain, "run", no_training)
        report = job.run()
        assert report.manifest.parents[0].id == pairs.id
        assert_sums_up(report, ["seed-0", "seed-1"])
        assert_seeds_differ(tmp_path / "repeat-runs")
        shutil.rmtree(tmp_path / "repeat")
        assert job.run().id == report.id, "all from what was there"
        shutil.rmtree(tmp_path / "repeat")
        other = replace(small_recipe(), optimizer=replace(small_recipe().optimizer, lr=1e-2))
        with pytest.raises(CrossRayError, match="by an earlier start with other pairs or another"):
            Repeat("pairs", "repeat", other, seeds=2).run()


def assert_seeds_differ(runs: Path) -> None:
    """Equal seeds would give a spread of nothing."""
    teachers = [open_artifact(str(runs / name / "teacher")) for name in ("seed-0", "seed-1")]
    assert [t.manifest.config["train"]["seed"] for t in teachers] == [0, 1]
    weights = [t.manifest.payload["model.safetensors"].sha256 for t in teachers]
    assert weights[0] != weights[1]


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_folds_test_every_item_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validation is the estimate for data that nobody has split."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 96)
    report = Repeat("pairs", "repeat", small_recipe(), folds=3).run()
    names = ["fold-1", "fold-2", "fold-3"]
    assert_sums_up(report, names)
    tested = []
    for name in names:
        single = open_artifact(f"{report.uri}-runs/{name}/report")
        fold = open_artifact(f"{report.uri}-runs/{name}/pairs", "pairs")
        assert fold.id in [parent.id for parent in single.manifest.parents]
        tested += read_pairs(fold, ["item_id"], "test")["item_id"].to_pylist()
    assert sorted(tested) == sorted(read_pairs(pairs, ["item_id"])["item_id"].to_pylist())
    assert report.manifest.metrics["items"] == 96


def test_repeats_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of training must not end with the sentence that could have come first."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    recipe = small_recipe()
    for options, words in (
        ({"seeds": 2, "folds": 3}, "give one of them"),
        ({"seeds": 1}, "has no spread"),
        ({"folds": 2}, "leaves none to train on"),
        ({"folds": 5, "features": "f"}, "learnt from the training split"),
    ):
        with pytest.raises(CrossRayError, match=words):
            Repeat("pairs", "out", recipe, **options).run()  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
