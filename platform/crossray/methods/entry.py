"""What the folder of a method offers to the registries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crossray.methods.ablation import Ablation
from crossray.methods.config import MethodConfig
from crossray.methods.recipe import Recipe

RecipeMaker = Callable[[], Recipe]


@dataclass(frozen=True)
class MethodEntry:
    """A method as `methods/<name>/__init__.py` declares it.

    Attributes:
        configs: its configurations; each is found in manifests by its `name`.
        recipes: its complete runs; each is found on the command line by the function's name.
        ablations: by the name that `jobs/ablate.py --method` takes.
        first_stages: from a recipe to the recipe of the stage 1 that it starts from.
    """

    configs: tuple[type[MethodConfig], ...]
    recipes: tuple[RecipeMaker, ...]
    ablations: Mapping[str, Ablation] = field(default_factory=dict)
    first_stages: Mapping[RecipeMaker, RecipeMaker] = field(default_factory=dict)
