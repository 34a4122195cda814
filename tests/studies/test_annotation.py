"""The harness of annotation efficiency: its runs, what it takes up again, its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve
from crossray.models.artifact import TOKENIZER, WEIGHTS, save_weights
from crossray.stages.pretrain import Pretrain
from crossray.studies.annotation import AnnotationEfficiency
from crossray.studies.single_runs import recipe_to_dict
from support.pairs import phantom_pairs, read_pairs
from support.repeats import small_recipe


def untrained(job: Pretrain) -> Artifact:
    """What `job` would publish, with the weights that it would start from."""
    assert job.pairs is not None
    init = None if job.init is None else open_artifact(resolve(job.init), "teacher")
    made = job.spec(init)
    assert made.tokenizer is not None
    parents = made.parents if init is None else (*made.parents, init)
    torch.manual_seed(made.recipe.train.seed + (init is not None))
    out = resolve(job.out)
    with create(out, "teacher", recipe_to_dict(made.recipe), parents) as draft:
        save_weights(dict(made.recipe.method.build().state_dict()), draft.path / WEIGHTS)
        made.tokenizer.save(draft.path / TOKENIZER)
        draft.metrics.update(seconds=1.0, best_epoch=1)
    return open_artifact(out)


def no_training(job: Pretrain) -> Artifact:
    """Stands in for a training that must not happen."""
    raise AssertionError(f"{job.out} is trained again")


def test_curves_with_and_without_stage_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method's claim is this curve: subsets, starts and ratios must be what it says."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Pretrain, "run", untrained)
    pairs = phantom_pairs(str(tmp_path / "pairs"), 90)
    Pretrain("pairs", "start", small_recipe()).run()
    job = AnnotationEfficiency(
        "pairs", "curve", small_recipe(), init="start", fractions=(0.3, 1.0, 0.5)
    )
    report = job.run()
    content = json.loads((report.local() / "report.json").read_text())
    assert list(content["curves"]) == ["pairs alone", "with stage 1"]
    assert list(content["pairs"]) == ["1", "0.5", "0.3"]
    folder, kept = Path(f"{report.uri}-runs"), {}
    for fraction in ("1", "0.5", "0.3"):
        data = open_artifact(str(folder / fraction / "seed-0" / "pairs"), "pairs")
        rows = read_pairs(data, ["item_id", "image", "texts"], "train").to_pylist()
        kept[fraction] = {r["item_id"] for r in rows if r["image"] and r["texts"]}
        assert content["pairs"][fraction] == len(kept[fraction])
        for name, count in (("pairs-alone", 1), ("with-stage-1", 2)):
            teacher = open_artifact(str(folder / fraction / "seed-0" / name / "teacher"))
            assert len(teacher.manifest.parents) == count
    assert kept["0.3"] < kept["0.5"] < kept["1"]
    whole = content["curves"]["pairs alone"]["1"]
    for name, points in content["curves"].items():
        for fraction, point in points.items():
            for direction, metrics in point["metrics"].items():
                for metric, ratio in point["ratios"][direction].items():
                    if ratio is None:
                        continue
                    expected = metrics[metric] / whole["metrics"][direction][metric]
                    assert ratio["value"] == pytest.approx(expected)
                    assert ratio["low"] <= ratio["high"]
                    if fraction == "0.3":
                        told = content["hypothesis"]["reached"][name][direction][metric]
                        assert told == (expected >= 0.9)
    assert whole["ratios"]["image_to_text"]["mAP@all"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    added = content["differences"]["0.3"]["image_to_text"]["mAP@all"]
    with_1, alone = (content["curves"][n]["0.3"]["metrics"]["image_to_text"]["mAP@all"]
                     for n in ("with stage 1", "pairs alone"))  # fmt: skip
    assert added["mean"] == pytest.approx(with_1 - alone)
    text = (report.local() / "report.md").read_text()
    assert "of the score of all pairs alone; 90% is" in text
    assert (report.local() / "curves.png").stat().st_size > 5000
    monkeypatch.setattr(Pretrain, "run", no_training)
    (tmp_path / "curve").rename(tmp_path / "first")
    assert job.run().id == report.id, "all from what was there"
    assert pairs.id == report.manifest.parents[0].id


def test_curves_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of training must not end with the sentence that could have come first."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    phantom_pairs(str(tmp_path / "pairs"), 90)
    recipe = small_recipe()
    for options, words in (
        ({"fractions": (0.5, 0.3)}, "have 1 among them"),
        ({"fractions": (1.0, 0.0)}, "must lie above 0"),
        ({"fractions": (1.0, 0.05)}, "fewer than train.batch_size=16"),
        ({"seeds": 0}, "trains nothing"),
    ):
        with pytest.raises(CrossRayError, match=words):
            AnnotationEfficiency("pairs", "out", recipe, **options).run()  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["pairs"]
