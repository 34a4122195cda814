"""Recipes as JSON: what manifests hold, and files that jobs take in place of a recipe's name."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from crossray.core.config import from_dict, to_dict
from crossray.core.errors import CrossRayError
from crossray.methods.recipe import Recipe
from crossray.models.artifact import method_from_dict, method_to_dict
from crossray.stages.distill import StudentRecipe


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a manifest has it."""
    return {**to_dict(recipe), "method": method_to_dict(recipe.method)}


def recipe_from_dict(data: Mapping[str, Any], where: str) -> Recipe:
    """The recipe, a student's where it has a `distillation`.

    Raises `CrossRayError` for a field that is missing, unknown or of another type; `where` says in
    the sentence where it came from.
    """
    kind: type[Recipe] = StudentRecipe if "distillation" in data else Recipe
    names = {field.name for field in fields(kind)}
    if wrong := names ^ set(data):
        raise CrossRayError(
            f"{where} is no recipe: {', '.join(sorted(wrong))} {'is' if len(wrong) == 1 else 'are'}"
            " missing or unknown; write it with `crossray recipe`."
        )
    hints = get_type_hints(kind)
    made: dict[str, Any] = {
        "name": str(data["name"]),
        "method": method_from_dict(data["method"], where),
    }
    for name in names - made.keys():
        made[name] = from_dict(hints[name], data[name], where)
    return kind(**made)


def read_recipe(path: Path) -> Recipe:
    """The recipe of a JSON file; raises `CrossRayError` where there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CrossRayError(
            f"the recipe file {path} cannot be read ({error}); write one with `crossray recipe`."
        ) from None
    if not isinstance(data, dict):
        raise CrossRayError(f"{path} is no recipe; write one with `crossray recipe`.")
    return recipe_from_dict(data, str(path))
