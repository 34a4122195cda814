"""A method's ablation: the variants of a recipe, and what the paper says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from crossray.evaluation.significance.claims import Claim
from crossray.methods.recipe import Recipe

FULL = "full"


@dataclass(frozen=True)
class Ablation:
    """What `jobs/ablate.py` runs for a method.

    Attributes:
        base: the recipe that the variants are made from, unless another is named.
        variants: from that recipe to all variants by name. One is named `full`, the full system;
            the others are compared with it. The names become folders.
        claims: orderings of variants that the paper prints or supposes.
        protocol: of the evaluation; None: the one that suits the data.
        first_stages: from the same recipe to the stage 1 that variants start from, by name; one
            that is not named starts from nothing.
    """

    base: Callable[[], Recipe]
    variants: Callable[[Recipe], dict[str, Recipe]]
    claims: tuple[Claim, ...] = ()
    protocol: str | None = None
    first_stages: Callable[[Recipe], dict[str, Recipe]] = lambda _: {}


def vary(recipe: Recipe, **method: Any) -> Recipe:
    """The recipe with other values in some fields of its method."""
    return replace(recipe, method=replace(recipe.method, **method))
