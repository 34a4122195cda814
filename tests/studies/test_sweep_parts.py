"""What a sweep is made of: its space, its room on a cluster, its budget, its request."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle, tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler

from crossray.core.errors import CrossRayError
from crossray.methods.gpldan import GpldanConfig
from crossray.methods.recipe import TrainConfig
from crossray.recipes import STUDENTS, get_recipe
from crossray.stages.recipe_files import read_recipe, recipe_from_dict, recipe_to_dict
from crossray.studies.sweep import Space
from crossray.studies.sweep.progress import SweepProgress
from crossray.studies.sweep.request import (
    Request,
    read_request,
    require_same_space,
    write_request,
)
from crossray.studies.sweep.space import load_space, with_fields
from crossray.studies.sweep.strategy import (
    EpochBudget,
    check_strategy,
    scheduler,
    trial_resources,
    trials_at_a_time,
)
from crossray.studies.sweep.trial import EPOCH, QUALITY, VALUE, stored_bits
from support.metrics import Recorded
from support.sweeps import write_space

SPACES = sorted(Path(__file__).parents[2].glob("tune/spaces/*.py"))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_shipped_spaces_are_sound(path: Path) -> None:
    """A field that was renamed would only be missed in the middle of a night's sweep."""
    space = load_space(path)
    assert space.base().train.select_by != "last"
    assert space.drawn().keys() == space.fields.keys()


def test_fields_are_changed_by_name() -> None:
    """The value lands where the command line would put it, and nowhere else."""
    recipe = get_recipe("gpldan_pretrained_tiny")
    made = with_fields(recipe, {"method.alpha": 5.0, "train.epochs": 3, "pairs": "others"})
    assert isinstance(made.method, GpldanConfig)
    assert isinstance(recipe.method, GpldanConfig)
    assert (made.method.alpha, made.train.epochs) == (5.0, 3)
    assert replace(made.method, alpha=recipe.method.alpha) == recipe.method


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method.alfa": [1.0]}, "has no field 'method.alfa': it ends at 'alfa'"),
        ({"method.alpha.x": [1.0]}, "it ends at 'x', where there is a plain value"),
        ({"method.alpha": ["much"]}, "method.alpha='much' does not suit"),
        ({}, "has no field to search"),
    ],
)
def test_a_bad_space_is_refused_at_once(tmp_path: Path, fields: object, words: str) -> None:
    """One sentence before the first trial, not an error in each."""
    with pytest.raises(CrossRayError, match=words):
        load_space(write_space(tmp_path / "space.py", repr(fields)))


@pytest.mark.parametrize(
    ("text", "words"),
    [("x = 1", "sets no SPACE"), ("1 / 0", "fails: ZeroDivisionError"), ("def", "SyntaxError")],
)
def test_a_file_without_a_space(tmp_path: Path, text: str, words: str) -> None:
    """A wrong file is named, with what is wrong in it."""
    (tmp_path / "space.py").write_text(text, encoding="utf-8")
    with pytest.raises(CrossRayError, match=words):
        load_space(tmp_path / "space.py")
    with pytest.raises(CrossRayError, match="there is no space file"):
        load_space(tmp_path / "nothing.py")


def test_a_grid_needs_lists(tmp_path: Path) -> None:
    """A range has no combinations; lists have all of theirs."""
    space = load_space(write_space(tmp_path / "space.py"))
    assert space.size() == 4
    grids = [{k: v["grid_search"] for k, v in space.grid(seed).items()} for seed in range(20)]
    for grid in grids:
        assert {name: sorted(values) for name, values in grid.items()} == space.fields
    assert len({str(grid) for grid in grids}) == 4, "the order is one of chance"
    assert space.grid(3) == space.grid(3), "a sweep that goes on meets the same grid"
    ranged = Space(space.recipe, {"method.alpha": tune.uniform(0, 1)}, metric="R@10")
    ranged.check()
    with pytest.raises(CrossRayError, match=r"method\.alpha are not listed"):
        check_strategy("grid", "none", ranged, 3)


@pytest.mark.usefixtures("ray_cluster")
def test_room_for_workers() -> None:
    """Trials that together ask for more than there is would wait for each other for ever."""
    assert [trials_at_a_time(TrainConfig(workers=workers)) for workers in (1, 2)] == [2, 1]
    with pytest.raises(CrossRayError, match="a trial has 3 workers of 1 CPUs each"):
        trials_at_a_time(TrainConfig(workers=3))


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 7, 16, 25, 400])
def test_no_more_trials_than_there_is_room_for(at_a_time: int) -> None:
    """Each has a process of its own, and one trial too few running would never end a sweep."""
    share = trial_resources(at_a_time)["node:__internal_head__"]
    assert at_a_time * (share + 0.001) < 1, "all of them, each with a run of Ray Train"
    if at_a_time <= 25:
        assert (at_a_time + 1) * share > 1


def test_epochs_are_a_budget() -> None:
    """Epochs of all trials together, each counted once however often it is told."""
    budget = EpochBudget(5)
    for name, epoch in (("a", 1), ("a", 2), ("a", 2), ("b", 1), ("b", 2)):
        assert not budget(name, {"epoch": epoch})
        assert not budget.stop_all()
    budget("c", {"epoch": 1})
    assert budget.stop_all()


@pytest.mark.parametrize("epochs", [2, 3, 4, 9, 10])
def test_the_last_epoch_is_never_stopped(epochs: int, tmp_path: Path) -> None:
    """A trial that has paid for all its epochs must keep its model."""
    space = load_space(write_space(tmp_path / "space.py"))
    asha = scheduler("asha", space, epochs)
    assert isinstance(asha, ASHAScheduler)
    rungs = [rung for bracket in asha._brackets for rung, _ in bracket._rungs]
    assert max(rungs) < epochs
    assert min(rungs) == 1


def test_strategies_that_do_not_suit() -> None:
    """Said before anything is trained."""
    space = Space(lambda: get_recipe("gpldan_tiny"), {"method.alpha": [1.0]})
    with pytest.raises(CrossRayError, match="take --search random"):
        check_strategy("tpe", "pbt", space, 3)
    with pytest.raises(CrossRayError, match=r"train\.epochs is 1"):
        check_strategy("tpe", "asha", space, 1)


def test_bits_of_what_is_stored() -> None:
    """Codes count their bits, vectors 16 a dimension."""
    assert stored_bits(get_recipe("mmach_tiny").method) == 64
    assert stored_bits(replace(get_recipe("gpldan_tiny").method, embedding=32)) == 512


def test_a_request_is_kept_whole(tmp_path: Path) -> None:
    """What is resumed is what was asked for, also where the space's file is gone or changed."""
    space = load_space(write_space(tmp_path / "space.py"))
    folder = str(tmp_path / "sweep-trials")
    asked = Request(space, with_fields(space.base(), {"train.epochs": 7}), {"trials": 4})
    write_request(folder, asked)
    (tmp_path / "space.py").unlink()
    found = read_request(folder)
    assert found.recipe == asked.recipe
    assert found.options == asked.options
    assert (found.space.fields, found.space.metric) == (space.fields, space.metric)
    with pytest.raises(CrossRayError, match="go on with --resume"):
        write_request(folder, asked)
    with pytest.raises(CrossRayError, match="searches another space"):
        require_same_space(found, replace(space, source="other"), folder)
    with pytest.raises(CrossRayError, match="no sweep to resume"):
        read_request(str(tmp_path / "others-trials"))


@pytest.mark.parametrize("name", ["hier_tiny", "mmach_tiny", "gpldan_base", "student_tiny"])
def test_recipes_are_files(name: str, tmp_path: Path) -> None:
    """What a file says is the recipe that wrote it, so a job may take either."""
    student = name in STUDENTS
    recipe = get_recipe(name, STUDENTS) if student else get_recipe(name)
    assert recipe_from_dict(recipe_to_dict(recipe), "x") == recipe
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe_to_dict(recipe)), encoding="utf-8")
    assert read_recipe(path) == recipe
    with pytest.raises(CrossRayError, match=r"recipe of a (student|teacher)"):
        get_recipe(str(path)) if student else get_recipe(str(path), STUDENTS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "is no recipe"),
        ('{"name": "x"}', "missing or unknown"),
    ],
)
def test_a_file_that_is_no_recipe(text: str, words: str, tmp_path: Path) -> None:
    """One sentence that names the file."""
    (tmp_path / "recipe.json").write_text(text, encoding="utf-8")
    with pytest.raises(CrossRayError, match=words):
        get_recipe(str(tmp_path / "recipe.json"))


def test_a_sweep_is_measured_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dashboard would show a sweep as it began, or nothing after it was resumed."""
    metrics = Recorded(monkeypatch)
    trials: list[Any] = [
        SimpleNamespace(status=Trial.PENDING, last_result={}, trial_id=f"trial-{n}")
        for n in range(3)
    ]
    progress = pickle.loads(cloudpickle.dumps(SweepProgress("R@10", 2, 3, "sweep")))

    def told() -> tuple[dict[str, float], list[float]]:
        states = (Trial.PENDING, Trial.RUNNING, Trial.TERMINATED, Trial.ERROR)
        found = {
            state: metrics.of("crossray_sweep_trials", run="sweep", state=state) for state in states
        }
        last = {state: values[-1] for state, values in found.items() if values}
        return last, metrics.of("crossray_sweep_best", run="sweep")

    trials[0].status = Trial.RUNNING
    progress.on_trial_start(1, trials, trials[0])
    assert told() == ({"PENDING": 2, "RUNNING": 1}, [])
    result = {EPOCH: 1, VALUE: 0.25, QUALITY: 0.5}
    progress.on_trial_result(2, trials, trials[0], result)
    assert "best of all 0.5000" in capsys.readouterr().out, "Ray Tune notes a result afterwards"
    trials[0].last_result = result
    trials[0].status, trials[1].status = Trial.TERMINATED, Trial.ERROR
    progress.on_trial_complete(3, trials, trials[0])
    progress.on_trial_error(3, trials, trials[1])
    counts = {"PENDING": 1, "RUNNING": 0, "TERMINATED": 1, "ERROR": 1}
    assert told() == (counts, [0.5, 0.5])
