"""The registry of complete runs: functions that return a configuration, found by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from crossray.core.errors import CrossRayError
from crossray.methods import ABLATIONS, FIRST_STAGES, RECIPES
from crossray.methods.ablation import Ablation
from crossray.methods.recipe import Recipe
from crossray.recipes.student import student_base, student_pretrained_small, student_tiny
from crossray.stages.distill import StudentRecipe
from crossray.stages.recipe_files import read_recipe

__all__ = [
    "ABLATIONS",
    "FIRST_STAGES",
    "RECIPES",
    "STUDENTS",
    "first_stage",
    "get_ablation",
    "get_recipe",
]

STUDENTS: dict[str, Callable[[], StudentRecipe]] = {
    recipe.__name__: recipe for recipe in (student_tiny, student_pretrained_small, student_base)
}

R = TypeVar("R", bound=Recipe)


def get_recipe(name: str, among: Mapping[str, Callable[[], R]] = RECIPES) -> R:  # type: ignore[assignment]
    """The recipe of that name, or of a file with `.json` at the end of its name.

    Raises `CrossRayError` that lists the names there are, or for a file that holds no recipe or one
    of the other kind, a student's or a teacher's.
    """
    if name.endswith(".json"):
        recipe = read_recipe(Path(name))
        student = recipe.needs_teacher
        if among is (RECIPES if student else STUDENTS):
            raise CrossRayError(
                f"the file {name} has the recipe of a {'student' if student else 'teacher'}; "
                f"give it to jobs/{'distill' if student else 'pretrain'}.py."
            )
        return recipe  # type: ignore[return-value]
    if name not in among:
        raise CrossRayError(
            f"there is no recipe {name!r}; choose one of {', '.join(sorted(among))}."
        )
    return among[name]()


def first_stage(name: str) -> str:
    """The recipe whose result a recipe starts from with `--init`; of a first stage itself, itself.

    Raises `CrossRayError` for a recipe that has none.
    """
    if name in FIRST_STAGES.values():
        return name
    if name not in FIRST_STAGES:
        raise CrossRayError(
            f"the recipe {name!r} has no unimodal stage; leave --stage out, or take one of "
            f"{', '.join(FIRST_STAGES)}."
        )
    return FIRST_STAGES[name]


def get_ablation(method: str) -> Ablation:
    """The ablation of that method; raises `CrossRayError` that lists those there are."""
    if method not in ABLATIONS:
        raise CrossRayError(
            f"there is no ablation of {method!r}; choose one of {', '.join(sorted(ABLATIONS))}."
        )
    return ABLATIONS[method]
