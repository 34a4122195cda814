"""Full runs as Python functions that return a configuration; this dict is the whole registry."""

from __future__ import annotations

from collections.abc import Callable

from crossray.core.errors import CrossRayError
from crossray.recipes.clip import clip_pretrained_tiny
from crossray.recipes.hier import hier_base, hier_large, hier_pretrained_tiny, hier_tiny
from crossray.training.config import Recipe

RECIPES: dict[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe
    for recipe in (hier_tiny, hier_pretrained_tiny, hier_base, hier_large, clip_pretrained_tiny)
}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name; raises `CrossRayError` that lists the names there are."""
    if name not in RECIPES:
        raise CrossRayError(
            f"there is no recipe {name!r}; choose one of {', '.join(sorted(RECIPES))}."
        )
    return RECIPES[name]()
