"""`crossray recipe`: recipes as files, to be read, changed and given to jobs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from tyro.conf import Positional, arg, subcommand

from crossray.core.artifacts import open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.store import resolve


@dataclass(frozen=True)
class FromSweep:
    """The recipe of a trial of a sweep.

    Attributes:
        sweep: the sweep artifact: a name in the store, an absolute path, ./path or a URI.
        pick: the best trial, the knee of the front, or a finished trial by its name.
    """

    sweep: Annotated[Positional[str], arg(metavar="SWEEP")]
    pick: str = "best"

    def content(self) -> dict[str, Any]:
        """What the file says."""
        from crossray.studies.sweep.recipes import recipe_of

        return recipe_of(open_artifact(resolve(self.sweep, Path.cwd()), "sweep"), self.pick)


@dataclass(frozen=True)
class Named:
    """A recipe that CrossRay brings.

    Attributes:
        recipe: a recipe of teachers or students.
    """

    recipe: Annotated[Positional[str], arg(metavar="RECIPE")]

    def content(self) -> dict[str, Any]:
        """What the file says."""
        from crossray.recipes import RECIPES, STUDENTS, get_recipe
        from crossray.stages.recipe_files import recipe_to_dict

        return recipe_to_dict(get_recipe(self.recipe, {**RECIPES, **STUDENTS}))


@dataclass(frozen=True)
class WriteRecipe:
    """Write a recipe as a file that jobs take as `--recipe FILE.json`.

    Attributes:
        source: which one.
        out: the file; without it the recipe is printed.
    """

    source: Annotated[
        Annotated[FromSweep, subcommand("from-sweep")] | Annotated[Named, subcommand("named")],
        arg(name=""),
    ]
    out: Path | None = None

    def run(self) -> None:
        """Write the file, or print the recipe."""
        text = json.dumps(self.source.content(), indent=2) + "\n"
        if self.out is None:
            sys.stdout.write(text)
            return
        if self.out.exists():
            raise CrossRayError(f"the file {self.out} exists; choose another, or remove it.")
        self.out.write_text(text, encoding="utf-8")
        Console(soft_wrap=True).print(f"give it to a job with --recipe {self.out}")
