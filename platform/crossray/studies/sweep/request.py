"""What a sweep was asked for, kept with its trials so that it can be resumed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from crossray.core.errors import CrossRayError
from crossray.core.store import exists, filesystem
from crossray.methods.recipe import Recipe
from crossray.stages.recipe_files import recipe_from_dict, recipe_to_dict
from crossray.studies.sweep.space import Space, load_space

REQUEST = "request.json"


class Request(NamedTuple):
    """The space, the recipe with what the command line changed in it, and the other options."""

    space: Space
    recipe: Recipe
    options: dict[str, Any]


def write_request(folder: str, request: Request) -> None:
    """Keep it in the folder; raises `CrossRayError` where an earlier sweep's trials are."""
    if exists(f"{folder}/{REQUEST}"):
        sweep = folder.removesuffix("-trials")
        raise CrossRayError(
            f"{folder} has the trials of an earlier start; go on with --resume {sweep}, or choose "
            "another --out."
        )
    said = {
        "space": request.space.source,
        "recipe": recipe_to_dict(request.recipe),
        "options": request.options,
    }
    system, root = filesystem(folder)
    system.create_dir(root, recursive=True)
    with system.open_output_stream(f"{root}/{REQUEST}") as stream:
        stream.write(json.dumps(said, indent=2).encode())


def read_request(folder: str) -> Request:
    """What `write_request` wrote; raises `CrossRayError` where there is nothing to resume."""
    if not exists(f"{folder}/{REQUEST}"):
        raise CrossRayError(
            f"there is no sweep to resume in {folder}; give the --out that it was started with."
        )
    system, path = filesystem(f"{folder}/{REQUEST}")
    with system.open_input_stream(path) as stream:
        said = json.loads(stream.read())
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "space.py"
        file.write_text(said["space"], encoding="utf-8")
        space = load_space(file)
    return Request(space, recipe_from_dict(said["recipe"], path), said["options"])


def require_same_space(request: Request, other: Space, folder: str) -> None:
    """Refuse to resume a sweep with another space than it was started with."""
    if request.space.source != other.source:
        raise CrossRayError(
            f"the sweep in {folder} searches another space than the given file; leave --space out "
            "to go on with the first, or start a new sweep with another --out."
        )
