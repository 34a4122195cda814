"""An index is served only with the student and the pairs that it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from crossray.core.artifacts import Kind, Parent, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.serving.application import build
from crossray.serving.lineage import open_lineage
from support.endpoint import STUDENT, World, publish_model


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Any:
    """Gives an index like the world's, with other parents or fields of its configuration."""

    def make(parents: dict[Kind, Parent | None], **changes: Any) -> str:
        manifest = world.index(2).manifest
        own: dict[Kind, Parent | None] = {parent.kind: parent for parent in manifest.parents}
        kept = [parent for parent in {**own, **parents}.values() if parent is not None]
        uri = str(tmp_path / "index")
        with create(uri, "index", {**manifest.config, **changes}, kept) as draft:
            shutil.copytree(world.index(2).local(), draft.path, dirs_exist_ok=True)
            (draft.path / "manifest.json").unlink()
        return uri

    return make


def test_the_lineage_of_an_index(world: World) -> None:
    """Nothing could be served."""
    lineage = open_lineage(world.index(2).uri)
    assert (lineage.model.id, lineage.pairs.id) == (world.model.id, world.pairs.id)
    assert (lineage.dim, lineage.bits, lineage.shards) == (16, 24, 2)


def test_another_student_in_the_place_of_the_right_one(
    world: World, copy: Any, tmp_path: Path
) -> None:
    """Queries would be compared with vectors of another space: all hits would be wrong."""
    other = publish_model(tmp_path, "student", STUDENT, seed=1)
    assert other.id != world.model.id
    with pytest.raises(CrossRayError) as caught:
        open_lineage(copy({"student": Parent("student", world.model.id, other.uri)}))
    assert world.model.id[:12] in str(caught.value)
    assert other.id[:12] in str(caught.value)


@pytest.mark.parametrize(
    ("parents", "changes", "words"),
    [
        ({}, {"dim": 8}, "8 dimensions and its student .* 16"),
        ({}, {"bits": 64}, "64 bits and its student .* 24"),
        ({"student": None}, {}, "does not say which teacher or student"),
        ({"pairs": Parent("pairs", "0" * 64, "/nowhere")}, {}, "no artifact at /nowhere"),
    ],
)
def test_indexes_that_cannot_be_served(
    copy: Any, parents: dict[Kind, Parent | None], changes: dict[str, Any], words: str
) -> None:
    """The endpoint would come up and fail, or answer wrongly, at the first query."""
    uri = copy(parents, **changes)
    with pytest.raises(CrossRayError, match=words):
        build({"index": uri})


def test_what_is_no_index(world: World, tmp_path: Path) -> None:
    """A wrong name on the command line would end in a traceback."""
    with pytest.raises(CrossRayError, match="student artifact, but index was expected"):
        build({"index": world.model.uri})
    whole = world.index(2).local()
    half = tmp_path / "half"
    shutil.copytree(whole, half)
    (half / "manifest.json").unlink()
    with pytest.raises(CrossRayError, match="not a whole artifact"):
        build({"index": str(half)})
    assert open_artifact(str(whole)).kind == "index"
