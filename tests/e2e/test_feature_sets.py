"""From a file of vectors to a report, through the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossray.cli import main
from crossray.cli.jobs import evaluate_job, pretrain_job
from crossray.core.artifacts import create, open_artifact
from crossray.evaluation.significance.compare import compare_reports

KEYS = ["--image-key", "I_tr", "--text-key", "T_tr", "--label-key", "L_tr"]
TEST_KEYS = ["--test-image-key", "I_te", "--test-text-key", "T_te", "--test-label-key", "L_te"]
SIZES = {"tr": 400, "te": 90}


def write_set(path: Path, seed: int) -> None:
    """Histograms of three classes: each view is another function of four shared causes."""
    rng = np.random.default_rng(seed)
    image_DC, text_DW = rng.normal(size=(4, 20)), rng.normal(size=(4, 8))
    values = {}
    for name, rows in SIZES.items():
        label_N = rng.integers(0, 3, rows)
        cause_ND = rng.normal(size=(rows, 4))
        cause_ND[:, 0] += 3 * label_N
        for key, mix in (("I", image_DC), ("T", text_DW)):
            bins = np.exp(0.5 * cause_ND @ mix)
            values[f"{key}_{name}"] = bins / bins.sum(axis=1, keepdims=True)
        values[f"L_{name}"] = label_N
    np.savez(path, **values)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two feature sets of equally long vectors."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for seed, name in enumerate(("features", "strange")):
        write_set(tmp_path / f"{name}.npz", seed)
        file = str(tmp_path / f"{name}.npz")
        main(["ingest", "features", file, *KEYS, *TEST_KEYS, "--out", name])
    return tmp_path / "store"


def refused(run, args: list[str], capsys: pytest.CaptureFixture[str]) -> str:  # type: ignore[no-untyped-def]
    """Run a command that must fail; gives its one sentence."""
    with pytest.raises(SystemExit) as caught:
        run(args)
    assert caught.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def test_vectors_to_report(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CCA on a feature set: fitted, published, judged, far above chance, and its own reference."""
    pretrain_job(["--recipe", "cca", "--features", "features", "--out", "cca"])
    teacher = open_artifact(str(store / "cca"), "teacher")
    assert [parent.kind for parent in teacher.manifest.parents] == ["features"]
    assert teacher.manifest.config["method"]["embedding"] == 7  # the rank of the eight bins
    assert sorted(teacher.manifest.payload) == ["model.safetensors"]
    evaluate_job(["--model", "cca", "--features", "features", "--out", "report"])
    report = json.loads((store / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["counts"]["paired_items"] == SIZES["te"]
    for direction, metrics in report["metrics"].items():
        chance = report["baseline"][direction]
        assert metrics["R@10"] > 4 * chance["R@10"]
        assert metrics["mAP@all"] > chance["mAP@all"] + 0.2
    assert report["reference"]["metrics"] == report["metrics"]
    assert "fitted on 400 training items" in report["reference"]["about"]
    assert set(report["lineage"]) == {"teacher", "features"}

    options = ["--method.ridge", "30", "--method.embedding", "1"]
    pretrain_job(["--recipe", "cca", "--features", "features", "--out", "weak", *options])
    evaluate_job(["--model", "weak", "--features", "features", "--out", "weak-report"])
    weak = json.loads((store / "weak-report" / "report.json").read_text(encoding="utf-8"))
    for part in ("metrics", "intervals", "about"):
        assert weak["reference"][part] == report["reference"][part]  # not the model's
    for metrics in report["reference"]["differences"].values():
        assert all(difference["mean"] == 0.0 for difference in metrics.values())
    for metrics in weak["reference"]["differences"].values():
        assert metrics["R@10"]["high"] < 0.0
        assert metrics["R@10"]["p_value"] < 0.01
    assert weak["metrics"]["image_to_text"]["R@10"] < report["metrics"]["image_to_text"]["R@10"]
    reports = [open_artifact(str(store / name)) for name in ("report", "weak-report")]
    assert compare_reports(reports)[0].differences


def test_what_does_not_belong_together(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Vectors of another make have the same length and another meaning."""
    pretrain_job(["--recipe", "cca", "--features", "features", "--out", "cca"])
    ask = ["--model", "cca", "--out", "report"]
    strange = refused(evaluate_job, [*ask, "--features", "strange"], capsys)
    assert "was made from features" in strange
    assert "either --pairs or --features" in refused(evaluate_job, ask, capsys)
    both = [*ask, "--features", "features", "--pairs", "pairs"]
    assert "either --pairs or --features" in refused(evaluate_job, both, capsys)
    nothing = ["--recipe", "cca", "--out", "other"]
    assert "give --pairs, --features or both" in refused(pretrain_job, nothing, capsys)
    val = refused(evaluate_job, [*ask, "--features", "features", "--split", "val"], capsys)
    assert "the val split" in val
    with create(str(store / "pairs"), "pairs", {}):
        pass
    pairs = refused(evaluate_job, [*ask, "--pairs", "pairs"], capsys)
    assert "has no towers that read images and texts" in pairs
    labelled = ["ingest", "features", "x.npz", *KEYS, "--out", "x", "--label-reports", "zeros"]
    assert "no reports to read labels from" in refused(main, labelled, capsys)
    ranged = [*labelled[:-2], "--grey-range", "full"]
    assert "leave out --grey-range" in refused(main, ranged, capsys)
    assert not (store / "report").exists()
