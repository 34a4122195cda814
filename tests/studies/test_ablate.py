"""The job that runs an ablation: what it runs, reuses, refuses and sums up; nothing is trained."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from crossray.cli import main
from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.significance.claims import Claim
from crossray.evaluation.significance.compare import compare_reports
from crossray.methods.ablation import FULL, Ablation, vary
from crossray.methods.recipe import Recipe
from crossray.models.artifact import load_method
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.stages.pretrain import Pretrain
from crossray.studies import study
from crossray.studies.ablate import Ablate, changes
from crossray.studies.study import Point
from support.pairs import phantom_pairs
from support.repeats import no_training, small_recipe, untrained

SMALL = Ablation(
    small_recipe,
    lambda base: {
        "only-global": vary(base, levels=("global",), info_nce=("global",), gate=False),
        FULL: base,
        "no-gate": vary(base, gate=False),
    },
    (Claim(FULL, "only-global", "mAP@all", "Table 1"),),
)


def job(recipe: Recipe | None = None, **options: int) -> Ablate:
    """The small ablation of the pairs `pairs`."""
    return Ablate("pairs", "out", recipe or small_recipe(), SMALL, **options)  # type: ignore[arg-type]


def test_finished_runs_are_taken_and_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five finished runs of six must not be lost with the sixth, nor be mixed up in the table."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pairs = phantom_pairs(str(tmp_path / "pairs"), 60)
    evaluate = Evaluate.run

    def interrupted(step: Evaluate) -> Artifact:
        if "no-gate/seed-1" in step.out:
            raise KeyboardInterrupt
        return evaluate(step)

    with monkeypatch.context() as patch:
        patch.setattr(Pretrain, "run", untrained)
        patch.setattr(Evaluate, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job(seeds=2).run()
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(Pretrain, "run", no_training)
    report = job(seeds=2).run()
    assert report.manifest.parents[0].id == pairs.id
    assert report.manifest.notes == pairs.manifest.notes
    content = json.loads((report.local() / "report.json").read_text())
    assert list(content["variants"]) == ["only-global", FULL, "no-gate"]
    for name, found in content["variants"].items():
        singles = [open_artifact(f"{report.uri}-runs/{name}/seed-{n}/report") for n in (0, 1)]
        assert {single.id for single in singles} <= {p.id for p in report.manifest.parents}
        for direction, metrics in found["metrics"].items():
            for metric, value in metrics.items():
                if metric != "median_rank":
                    own = [single.manifest.metrics[direction][metric] for single in singles]
                    assert value == pytest.approx(np.mean(own))
            rows = sum(
                pq.read_metadata(single.local() / f"per_query-{direction}.parquet").num_rows
                for single in singles
            )
            assert rows == 2 * report.manifest.metrics["items"] or direction == "text_to_image"
    assert content["variants"]["no-gate"]["changes"] == ["method.gate = False"]
    sizes = {name: found["parameters"] for name, found in content["variants"].items()}
    gate = 2 * small_recipe().method.embedding + 2
    assert sizes[FULL] - sizes["no-gate"] == gate
    teacher = load_method(open_artifact(f"{report.uri}-runs/{FULL}/seed-0/teacher"))
    assert sizes[FULL] == sum(p.numel() for p in teacher.parameters())
    assert "full R@10 image to text" in report.manifest.metrics["headline"]
    shutil.rmtree(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(Evaluate, "run", interrupted)
        assert job(seeds=2).run().id == report.id, "all from what was there"
    with pytest.raises(CrossRayError, match="is of many runs"):
        compare_reports([report, report])
    shutil.rmtree(tmp_path / "out")
    other = replace(small_recipe(), optimizer=replace(small_recipe().optimizer, lr=1e-2))
    with pytest.raises(CrossRayError, match="by an earlier start with other pairs or another"):
        job(other, seeds=2).run()


def test_a_feature_set_is_ablated_and_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Methods on published vectors have no pairs and no words, and must resume all the same."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    parts = {f"{key}_{n}": rng.random((n, d)) for key, d in (("I", 6), ("T", 4)) for n in (30, 20)}
    parts |= {f"L_{n}": rng.integers(0, 3, n) for n in (30, 20)}
    np.savez(tmp_path / "set.npz", **parts)  # type: ignore[arg-type]
    keys = "--image-key I_30 --text-key T_30 --label-key L_30 --test-image-key I_20 "
    keys += "--test-text-key T_20 --test-label-key L_20 --out features"
    main(["ingest", "features", str(tmp_path / "set.npz"), *keys.split()])
    base = get_recipe("clip_pretrained_tiny")
    grid = Ablation(lambda: base, lambda base: {FULL: base, "cold": vary(base, temperature=1.0)})
    started = Ablate(None, "out", base, grid, features="features", protocol="gpldan")
    with monkeypatch.context() as patch:
        patch.setattr(Pretrain, "run", untrained)
        report = started.run()
    assert [parent.kind for parent in report.manifest.parents] == ["features", "report", "report"]
    assert "full mAP@50[found] image to text" in report.manifest.metrics["headline"]
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(Pretrain, "run", no_training)
    assert started.run().id == report.id


@pytest.mark.parametrize("features", [None, "features"])
def test_cached_features_are_what_is_judged(
    monkeypatch: pytest.MonkeyPatch, features: str | None
) -> None:
    """Frozen towers that ran once need not run again for every variant, nor round otherwise."""
    asked: list[Evaluate] = []
    teacher: Any = SimpleNamespace(uri="teacher")
    monkeypatch.setattr(study.single_runs, "train_once", lambda _: teacher)
    monkeypatch.setattr(study.single_runs, "evaluate_once", asked.append)
    point = Point(FULL, FULL, small_recipe(), 0)
    replace(job(), features=features).run_point(point, teacher, "runs")
    (evaluate,) = asked
    assert (evaluate.pairs, evaluate.features) == (None if features else "pairs", features)


def test_a_variant_may_start_from_a_stage_1_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pretext tasks are worth shows only after the same stage 2."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    phantom_pairs(str(tmp_path / "pairs"), 60)
    starts: dict[str, str | None] = {}

    def trained(job: Pretrain) -> Artifact:
        starts[job.out.split("/out-runs/")[1]] = job.init
        return untrained(job)

    monkeypatch.setattr(Pretrain, "run", trained)
    first = vary(small_recipe(), gate=False)  # any teacher is a start
    grid = Ablation(
        small_recipe, lambda base: {"none": base, FULL: base}, first_stages=lambda _: {FULL: first}
    )
    report = Ablate("pairs", "out", small_recipe(), grid).run()
    assert starts == {
        "none/seed-0/teacher": None,
        "full/seed-0/stage-1": None,
        "full/seed-0/teacher": f"{report.uri}-runs/full/seed-0/stage-1",
    }
    content = json.loads((report.local() / "report.json").read_text())
    assert content["variants"]["none"]["changes"] == ["stage_1 = None"]
    assert content["variants"][FULL]["changes"] == []


def test_chosen_variants_are_run_beside_the_full_system() -> None:
    """A sweep of two fusions must not train ten other variants first."""
    assert list(replace(job(), only=("no-gate",)).variants()) == [FULL, "no-gate"]
    assert list(job().variants()) == ["only-global", FULL, "no-gate"]


def test_changes_are_the_fields_that_differ() -> None:
    """The table says what a variant is."""
    full = {"method": {"gate": True, "levels": ["a", "b"]}, "train": {"seed": 1}}
    other = {"method": {"gate": False, "levels": ["a"]}, "train": {"seed": 1}}
    assert changes(other, full) == ["method.gate = False", "method.levels = ['a']"]
    assert changes(full, full) == []


def test_ablations_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of training must not end with the sentence that could have come first."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    with pytest.raises(CrossRayError, match="trains nothing"):
        job(seeds=0).run()
    with pytest.raises(CrossRayError, match="needs data"):
        replace(job(), pairs=None).run()
    with pytest.raises(CrossRayError, match="no variant nothing of hier; choose among only-global"):
        replace(job(), only=("no-gate", "nothing")).run()
    recipe = small_recipe()
    with pytest.raises(CrossRayError, match="must be at least 1"):
        job(replace(recipe, train=replace(recipe.train, epochs=0))).run()
    assert not list(tmp_path.iterdir())
