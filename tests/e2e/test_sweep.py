"""Sweeps under Ray Tune: a grid with failures, and one whose driver is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from crossray.cli import main
from crossray.cli.jobs import search_job
from crossray.core.artifacts import open_artifact
from crossray.recipes import get_recipe
from support.sweeps import write_space, write_vectors

SECONDS = 600.0


def lay_out(folder: Path) -> list[str]:
    """Features and a space; gives the arguments of a sweep over them."""
    write_vectors(folder / "vectors.npz")
    keys = ["--image-key", "images", "--text-key", "texts", "--label-key", "labels"]
    main(["ingest", "features", str(folder / "vectors.npz"), *keys, "--out", "features"])
    space = write_space(folder / "space.py", '{"train.batch_size": [1, 16, 32]}')
    return ["--space", str(space), "--features", "features", "--search", "grid"]


def report_of(folder: Path, name: str) -> dict[str, Any]:
    """What a sweep's `report.json` says."""
    found: dict[str, Any] = json.loads((folder / name / "report.json").read_text(encoding="utf-8"))
    return found


def table(report: dict[str, Any]) -> dict[str, tuple[object, ...]]:
    """What must be the same whenever the same sweep is run, by the values of a trial."""
    return {
        json.dumps(trial["values"], sort_keys=True): (
            trial["state"], trial["quality"], trial["curve"], trial["bits"], trial["error"],
        )
        for trial in report["trials"]
    }  # fmt: skip


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_a_killed_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray_cluster: str
) -> None:
    """From a space to a recipe; a killed driver costs no finished trial and changes no figure."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    ask = [*lay_out(tmp_path), "--scheduler", "none"]
    search_job([*ask, "--out", "whole"])
    whole = report_of(tmp_path, "whole")
    states = [trial["state"] for trial in whole["trials"]]
    assert sorted(states) == ["failed", "finished", "finished"]
    failed = [trial for trial in whole["trials"] if trial["state"] == "failed"]
    assert all("train.batch_size at least 2" in trial["error"] for trial in failed)
    sweep = open_artifact(str(tmp_path / "whole"), "sweep")
    assert [parent.kind for parent in sweep.manifest.parents] == ["features", "teacher", "report"]
    test = open_artifact(sweep.manifest.parents[2].uri, "report")
    assert test.manifest.config["split"] == "test"
    assert whole["test"]["image_to_text"]["mAP@50[found]"] > 0.7, "chance is 0.26"

    main(["recipe", "from-sweep", "whole", "--pick", "knee", "--out", str(tmp_path / "knee.json")])
    knee = next(trial for trial in whole["trials"] if trial["name"] == whole["knee"])
    recipe = get_recipe(str(tmp_path / "knee.json"))
    assert recipe.train.batch_size == knee["values"]["train.batch_size"]

    env = {**os.environ, "RAY_ADDRESS": ray_cluster}
    program = [sys.executable, "tune/search.py", *ask, "--out", "killed"]
    driver = subprocess.Popen(program, env=env, cwd=Path(__file__).parents[2])
    before = await_model(tmp_path / "killed-trials", driver)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert not (tmp_path / "killed").exists()
    search_job(["--resume", "killed"])
    killed = report_of(tmp_path, "killed")
    assert table(killed) == table(whole)
    for model, made in before.items():
        assert open_artifact(str(model), "teacher").manifest.created_at == made


def await_model(folder: Path, driver: subprocess.Popen[bytes]) -> dict[Path, str]:
    """Wait for the first finished trial; gives when each model was made."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        models = [path.parent for path in folder.glob("*/manifest.json")]
        if models:
            time.sleep(2.0)  # Ray Tune has heard of it, and the next trial has begun
            return {m: open_artifact(str(m)).manifest.created_at for m in models}
        assert driver.poll() is None, "the sweep ended before a trial did"
        time.sleep(0.5)
    raise AssertionError(f"no trial finished within {SECONDS} s")


@pytest.mark.e2e
@pytest.mark.usefixtures("ray_cluster")
def test_trials_go_on_from_better_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two trials the worse one takes over the weights of the other, and ends with a model."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    ask = [*lay_out(tmp_path)[:4], "--search", "random", "--scheduler", "pbt", "--trials", "2"]
    space = write_space(tmp_path / "space.py", '{"method.alpha": [0.1, 10.0]}')
    search_job([*ask, "--space", str(space), "--train.epochs", "2", "--out", "population"])
    trials = report_of(tmp_path, "population")["trials"]
    assert [trial["state"] for trial in trials] == ["finished", "finished"]
    assert [set(trial["curve"]) for trial in trials] == [{"1", "2"}] * 2
    assert all(trial["quality"] > 0.7 for trial in trials), "chance is 0.26"
    assert not list((tmp_path / "runs").glob("*/train"))
