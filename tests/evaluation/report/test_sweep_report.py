"""What a sweep's report says, on made-up trials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from crossray.evaluation.report.sweep_plots import importance_of, study_of
from crossray.evaluation.report.sweep_report import write_sweep_report
from crossray.evaluation.report.sweep_trial import SweepTrial

FACTS = {
    "recipe": "gpldan_tiny",
    "metric": "mAP@all",
    "searched": "12 trials by tpe, scheduler asha.",
    "test": {"image_to_text": {"mAP@all": 0.61}},
    "pick": {"name": "t03", "rule": "best"},
    "seeds": 2,
    "lineage": {"pairs": {"uri": "/store/pairs", "id": "ab" * 32}},
    "notes": ["Data of a test."],
}


def trials(count: int = 12, seed: int = 0) -> list[SweepTrial]:
    """`alpha` decides the metric, `noise` decides nothing; every third trial was stopped."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        alpha, noise = float(rng.choice([0.1, 1.0, 10.0])), float(rng.uniform())
        top = {0.1: 0.3, 1.0: 0.6, 10.0: 0.4}[alpha] + 0.001 * rng.normal()
        epochs = 2 if number % 3 == 2 else 4
        curve = {epoch: top * epoch / 4 for epoch in range(1, epochs + 1)}
        stopped = SweepTrial(
            f"t{number:02}", {"method.alpha": alpha, "noise": noise, "pairs": "p"}, "stopped",
            curve, max(curve.values()), seconds=2.0,
        )  # fmt: skip
        done = replace(
            stopped, state="finished", quality=top, bits=int(rng.choice([16, 64])),
            milliseconds=1.0 + noise, model=f"/store/{number}",
        )  # fmt: skip
        made.append(done if epochs == 4 else stopped)
    return made


def test_importance_finds_what_decides() -> None:
    """A bar for the wrong field would send the next sweep after noise."""
    study = study_of(trials(60))
    assert set(study.trials[0].params) == {"method.alpha", "noise"}
    importance = importance_of(study)
    assert importance["method.alpha"] > 0.8
    assert sum(importance.values()) == pytest.approx(1.0)


def test_trials_are_compared_after_equally_many_epochs() -> None:
    """A trial that was stopped early is no worse for it than one that went on."""
    early = SweepTrial("a", {"x": 1}, "stopped", {1: 0.5}, 0.5)
    late = SweepTrial("b", {"x": 2}, "finished", {1: 0.4, 2: 0.9}, 0.9, 16, 1.0)
    study = study_of([early, late])
    assert [trial.value for trial in study.trials] == [0.5, 0.4]


def queries(seed: int, gain: float) -> dict[str, pa.Table]:
    """Forty queries of one direction."""
    value_Q = np.random.default_rng(seed).uniform(0.3, 0.6, 40) + gain
    return {"image_to_text": pa.table({"query_id": list(map(str, range(40))), "mAP@all": value_Q})}


def test_report_names_front_pick_and_failures(tmp_path: Path) -> None:
    """Whoever reads the page alone learns what was tried, what is best and what went wrong."""
    found = trials()
    error = "CrossRayError: the batch is <too> small"
    found.append(SweepTrial("t99", found[0].values, "failed", {}, None, error=error))
    contest = {"t00": queries(0, 0.3), "t01": queries(0, 0.0)}
    report = write_sweep_report(tmp_path, found, contest, ["mAP@all"], FACTS)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(report))
    assert report["epochs"] == sum(max(trial.curve, default=0) for trial in found)
    done = [trial for trial in found if trial.state == "finished"]
    best = max(done, key=lambda trial: trial.quality or 0)
    assert report["best"] == best.name
    assert best.name in report["front"]
    difference = report["contest"]["t01"]["differences"]["image_to_text"]["mAP@all"]
    assert difference["mean"] == pytest.approx(-0.3)
    assert difference["p_value"] < 0.01
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert "the batch is &lt;too&gt; small" in page
    words = (tmp_path / "report.md").read_text(encoding="utf-8")
    for wanted in ("Data of a test.", best.name, "t99", "on the test split", "0.610"):
        assert wanted in words


def test_one_trial_is_a_report_too(tmp_path: Path) -> None:
    """Nothing to compare is no reason to lose what there is."""
    only = replace(trials(1)[0], milliseconds=None)
    report = write_sweep_report(tmp_path, [only], {}, ["mAP@all"], {**FACTS, "test": {}})
    assert report["best"] == report["knee"] == only.name
    assert report["importance"] == {}
    assert (tmp_path / "report.html").is_file()
