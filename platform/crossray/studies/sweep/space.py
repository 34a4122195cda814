"""What a sweep searches: fields of a recipe and the values they may take."""

import random
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from ray import tune
from ray.tune.search.sample import Categorical, Domain

from crossray.core.errors import CrossRayError
from crossray.methods.recipe import Recipe

TrialValues = Mapping[str, Any]
R = TypeVar("R", bound=Recipe)
SPACE, PAIRS = "SPACE", "pairs"


@dataclass(frozen=True)
class Space:
    """A search space, the value of `SPACE` in a Python file.

    Attributes:
        recipe: what the trials are made from; a student's recipe where trials distil.
        fields: by field of the recipe, named as on the command line (`method.alpha`), a list of
            values or one of Ray Tune's distributions, such as `tune.loguniform(0.01, 10)`. The
            name `pairs` is no field: its values are pairs artifacts to train on, whose validation
            and test splits are those of the sweep's.
        metric: what a trial is judged by on validation data; the recipe's `train.select_by` if
            nothing is named.
        protocol: of the final evaluation; None: the one that suits the data.
        source: the text of the file it came from.
    """

    recipe: Callable[[], Recipe]
    fields: Mapping[str, Any]
    metric: str | None = None
    protocol: str | None = None
    source: str = ""

    def base(self) -> Recipe:
        """The recipe, with the epoch of a trial kept by the metric.

        Raises `CrossRayError` for a space that no trial can be drawn from.
        """
        recipe = self.recipe()
        metric = self.metric or recipe.train.select_by
        if metric == "last":
            raise CrossRayError(
                f"the recipe {recipe.name} keeps its last epoch, which is no measure of a trial; "
                "name the space's metric."
            )
        if not self.fields:
            raise CrossRayError("the space has no field to search; name at least one.")
        return with_fields(recipe, {"train.select_by": metric})

    def grid(self, seed: int) -> dict[str, Any]:
        """Every combination of its values, for Ray Tune.

        A list is taken in an order of chance: from the worst value to the best, every trial would
        be ahead of those before it, and a scheduler could stop none.

        Raises `CrossRayError` for a field of which there is no list.
        """
        rng = random.Random(seed)
        lists = {name: _listed(name, found) for name, found in self.fields.items()}
        return {name: tune.grid_search(rng.sample(x, len(x))) for name, x in lists.items()}

    def drawn(self) -> dict[str, Any]:
        """Its values to be drawn, for Ray Tune."""
        return {
            name: found if isinstance(found, Domain) else tune.choice(_listed(name, found))
            for name, found in self.fields.items()
        }

    def listed(self, name: str) -> list[Any]:
        """The values of a field, none where it is not searched."""
        return _listed(name, self.fields[name]) if name in self.fields else []

    def size(self) -> int:
        """How many combinations there are."""
        count = 1
        for name, found in self.fields.items():
            count *= len(_listed(name, found))
        return count

    def check(self) -> None:
        """Raises `CrossRayError` for a field that the recipe lacks or a value that it refuses."""
        recipe = self.base()
        for name, found in self.fields.items():
            if isinstance(found, Domain) and not isinstance(found, Categorical):
                with_fields(recipe, {name: found.sample()})
                continue
            for value in _listed(name, found):
                with_fields(recipe, {name: value})


def load_space(path: Path) -> Space:
    """The space of a Python file, which is run.

    Raises `CrossRayError` for a file that is missing, fails or holds no space.
    """
    if not path.is_file():
        raise CrossRayError(f"there is no space file {path}; name one, as in tune/spaces/.")
    try:
        found = runpy.run_path(str(path)).get(SPACE)
    except CrossRayError:
        raise
    except Exception as error:
        raise CrossRayError(f"the space file {path} fails: {error!r}; correct it.") from None
    if not isinstance(found, Space):
        raise CrossRayError(f"the space file {path} sets no {SPACE} = Space(...); add it.")
    found.check()
    return replace(found, source=path.read_text(encoding="utf-8"))


def with_fields(recipe: R, values: TrialValues) -> R:
    """The recipe with other values in some fields, named by dots; `pairs` is passed over.

    Raises `CrossRayError` for a field that there is not and for a value of another type.
    """
    for name, value in values.items():
        if name == PAIRS:
            continue
        recipe = _changed(recipe, name.split("."), value, name, recipe.name)
    return recipe


def _changed(config: Any, path: list[str], value: Any, name: str, recipe: str) -> Any:
    head, *rest = path
    known = [field.name for field in fields(config)] if is_dataclass(config) else []
    if head not in known:
        raise CrossRayError(
            f"the recipe {recipe} has no field {name!r}: it ends at {head!r}, "
            f"where there {'are ' + ', '.join(known) if known else 'is a plain value'}."
        )
    if rest:
        value = _changed(getattr(config, head), rest, value, name, recipe)
    else:
        hint = get_type_hints(type(config), include_extras=True)[head]
        try:
            value = TypeAdapter(hint).validate_python(value)
        except ValidationError as error:
            raise CrossRayError(
                f"{name}={value!r} does not suit the recipe {recipe}: {error.errors()[0]['msg']}; "
                "correct the space."
            ) from None
    return replace(config, **{head: value})


def _listed(name: str, found: Any) -> list[Any]:
    """The values of a field that are listed one by one."""
    if isinstance(found, Categorical):
        return list(found.categories)
    if isinstance(found, list | tuple):
        return list(found)
    raise CrossRayError(
        f"the values of {name} are not listed, so there is no grid of them; give a list or "
        "tune.choice, or search at random or by tpe."
    )
