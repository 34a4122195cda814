"""Full runs as Python functions that return a configuration; these dicts are the whole registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from crossray.core.errors import CrossRayError
from crossray.methods.recipe import Recipe
from crossray.recipes.cca import cca
from crossray.recipes.clip import clip_pretrained_tiny
from crossray.recipes.cmfg import cmfg_base, cmfg_pretrained_tiny, cmfg_tiny
from crossray.recipes.gpldan import gpldan_base, gpldan_pretrained_tiny, gpldan_tiny
from crossray.recipes.hier import hier_base, hier_large, hier_pretrained_tiny, hier_tiny
from crossray.recipes.hier_unimodal import hier_unimodal_base, hier_unimodal_tiny
from crossray.recipes.mmach import mmach_base, mmach_pretrained_tiny, mmach_tiny
from crossray.recipes.mmdl import (
    ath_mmdl_tiny,
    ath_tiny,
    image_features,
    image_mmdl_pretrained_tiny,
    image_ranking_base,
    image_ranking_tiny,
    mmdl_base,
    mmdl_pretrained_tiny,
    mmdl_tiny,
)
from crossray.recipes.student import student_base, student_pretrained_small, student_tiny
from crossray.stages.distill import StudentRecipe
from crossray.stages.recipe_files import read_recipe

RECIPES: dict[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe
    for recipe in (
        hier_tiny,
        hier_pretrained_tiny,
        hier_base,
        hier_large,
        hier_unimodal_tiny,
        hier_unimodal_base,
        clip_pretrained_tiny,
        cmfg_tiny,
        cmfg_pretrained_tiny,
        cmfg_base,
        cca,
        mmdl_tiny,
        mmdl_pretrained_tiny,
        mmdl_base,
        image_mmdl_pretrained_tiny,
        image_features,
        image_ranking_tiny,
        image_ranking_base,
        ath_tiny,
        ath_mmdl_tiny,
        gpldan_tiny,
        gpldan_pretrained_tiny,
        gpldan_base,
        mmach_tiny,
        mmach_pretrained_tiny,
        mmach_base,
    )
}


FIRST_STAGES: dict[str, str] = {
    hier_tiny.__name__: hier_unimodal_tiny.__name__,
    hier_base.__name__: hier_unimodal_base.__name__,
}

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
        student = isinstance(recipe, StudentRecipe)
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
