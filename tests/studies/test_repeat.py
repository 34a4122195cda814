"""The harness of repeated runs: what it reuses, refuses and sums up; nothing is trained here."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.studies.repeat import Repeat
from support.pairs import phantom_pairs, read_pairs
from support.repeats import assert_sums_up, no_training, small_recipe, untrained


def test_finished_runs_are_taken_and_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four finished runs of five must not be lost with the fifth."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 60)
    job = Repeat("pairs", "repeat", small_recipe(), seeds=2)
    evaluate = Evaluate.run

    def interrupted(step: Evaluate) -> Artifact:
        if "seed-1" in step.out:
            raise KeyboardInterrupt
        return evaluate(step)

    with monkeypatch.context() as patch:
        patch.setattr(Pretrain, "run", untrained)
        patch.setattr(Evaluate, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.run()
    assert not (tmp_path / "repeat").exists()
    monkeypatch.setattr(Pretrain, "run", no_training)
    report = job.run()
    assert report.manifest.parents[0].id == pairs.id
    assert report.manifest.notes == pairs.manifest.notes
    assert_sums_up(report, ["seed-0", "seed-1"])
    shutil.rmtree(tmp_path / "repeat")
    with monkeypatch.context() as patch:
        patch.setattr(Evaluate, "run", interrupted)
        assert job.run().id == report.id, "all from what was there"
    shutil.rmtree(tmp_path / "repeat")
    other = replace(small_recipe(), optimizer=replace(small_recipe().optimizer, lr=1e-2))
    with pytest.raises(CrossRayError, match="by an earlier start with other pairs or another"):
        Repeat("pairs", "repeat", other, seeds=2).run()


def test_folds_test_every_item_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validation is the estimate for data that nobody has split."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Pretrain, "run", untrained)
    pairs = phantom_pairs(str(tmp_path / "pairs"), 48)
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
    assert report.manifest.metrics["items"] == 48


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
