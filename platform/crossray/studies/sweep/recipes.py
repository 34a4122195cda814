"""The recipes of a sweep's finished trials, as its artifact holds them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crossray.core.artifacts import Artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.report.sweep_trial import SweepTrial
from crossray.methods.recipe import Recipe
from crossray.stages.recipe_files import recipe_to_dict
from crossray.studies.single_runs import report_content
from crossray.studies.sweep.space import with_fields

RECIPES = "recipes.json"


def write_recipes(folder: Path, recipe: Recipe, trials: Iterable[SweepTrial]) -> None:
    """Write the recipe with the values of each trial, by the trial's name."""
    recipes = {trial.name: recipe_to_dict(with_fields(recipe, trial.values)) for trial in trials}
    (folder / RECIPES).write_text(json.dumps(recipes, indent=2) + "\n", encoding="utf-8")


def recipe_of(sweep: Artifact, pick: str) -> dict[str, Any]:
    """The recipe of the `best` trial, of the `knee`, or of a trial by its name.

    Raises `CrossRayError` where no such trial has finished.
    """
    recipes = json.loads((sweep.local() / RECIPES).read_text(encoding="utf-8"))
    name = report_content(sweep)[pick] if pick in ("best", "knee") else pick
    if name not in recipes:
        raise CrossRayError(
            f"{sweep.uri} has no finished trial {pick!r}; choose best, knee or one of "
            f"{', '.join(recipes)}."
        )
    return {**recipes[name], "name": f"{recipes[name]['name']}-{name}"}
