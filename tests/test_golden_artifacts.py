"""Artifacts that an earlier version made: whoever has some opens them in this one."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossray.core.artifacts import MANIFEST, open_artifact, verify
from crossray.data.phantom import PhantomConfig
from crossray.data.schema import iter_pairs
from crossray.data.sources.phantom import PhantomSource
from crossray.evaluation.significance.compare import compare_repeats, compare_reports
from crossray.index import load_shards, search
from crossray.models.encoder import ModelEncoder
from crossray.stages.evaluate import Evaluate
from crossray.stages.index import BuildIndex
from crossray.stages.ingest import ingest
from support.golden import GOLDEN, copy_golden

NAMES = sorted(
    path.parent.relative_to(GOLDEN / "artifacts").as_posix()
    for path in GOLDEN.glob("artifacts/**/" + MANIFEST)
)
QUESTION = "Large right pleural effusion."


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The artifacts in a store, where their manifests say that their parents are."""
    folder = copy_golden(tmp_path / "store")
    monkeypatch.setenv("CROSSRAY_STORE", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def answers() -> dict[str, Any]:
    """What the version that made the artifacts answered from them."""
    found: dict[str, Any] = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
    return found


def test_every_kind_opens(store: Path) -> None:
    """A user's store would be lost with an update."""
    found = {name: open_artifact(str(store / name)) for name in NAMES}
    assert {name: artifact.id for name, artifact in found.items()} == answers()["ids"]
    assert {artifact.kind for artifact in found.values()} == {
        "pairs", "features", "teacher", "student", "vectors", "index", "report", "sweep",
    }  # fmt: skip
    for artifact in found.values():
        verify(artifact)


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_models_encode_as_they_did(store: Path, name: str) -> None:
    """Queries would be compared with vectors of another model."""
    np.testing.assert_allclose(vectors(store, name), answers()["vectors"][name], atol=1e-4)


def vectors(store: Path, name: str) -> list[list[float]]:
    """A question's and an image's, by a model of the store."""
    encoder = ModelEncoder(open_artifact(str(store / name)))
    pairs = open_artifact(str(store / "pairs"), "pairs")
    image = next(iter_pairs(pairs, ["image"], "test"))["image"][0].as_py()
    text_1D, image_1D = encoder.texts([[QUESTION]]).z_BD, encoder.images([image]).z_BD
    return [row.tolist() for row in np.concatenate([text_1D, image_1D])]


def test_the_index_answers_as_it_did(store: Path) -> None:
    """A deployed index would find other films after an update."""
    assert hits(store) == answers()["hits"]


def hits(store: Path) -> dict[str, list[int]]:
    """The rows that an image's question finds, by way of searching."""
    shards = load_shards(open_artifact(str(store / "index"), "index"))
    asked = ModelEncoder(open_artifact(str(store / "student"))).texts([[QUESTION]])
    return {
        mode: search(shards, "image", asked.z_BD, asked.codes_BY, 5, mode).rows_QK[0].tolist()
        for mode in ("float", "binary", "rescore")
    }


EVALUATIONS = {
    "teacher": Evaluate("teacher", "pairs", "out"),
    "student codes": Evaluate("student", "pairs", "out", codes=16),
    "features": Evaluate(
        "sweep-trials/7e820_00001", None, "out", features="features", protocol="gpldan_labels"
    ),
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_reports_have_the_same_figures(store: Path, name: str) -> None:
    """A result that was published could not be reproduced from its model."""
    assert figures(name) == pytest.approx(answers()["figures"][name], abs=1e-6)


def figures(name: str) -> dict[str, float]:
    """The measures of both directions in a new report."""
    found = EVALUATIONS[name].run().manifest.metrics
    return {
        f"{direction} {metric}": value
        for direction in ("image_to_text", "text_to_image")
        for metric, value in found[direction].items()
    }


@pytest.mark.parametrize("name", ["repeat", "sweep-trials/7e820_00001-test"])
def test_reports_are_compared(store: Path, name: str) -> None:
    """`crossray compare` could not read what it read before."""
    report = open_artifact(str(store / name), "report")
    lines = (compare_repeats if name == "repeat" else compare_reports)([report, report])
    assert {line.direction for line in lines} >= {"image_to_text", "text_to_image"}


@pytest.mark.usefixtures("ray_cluster")
def test_what_is_made_again_has_the_same_id(store: Path) -> None:
    """Everything that users have would seem to come from other data."""
    made = open_artifact(str(store / "pairs")).manifest
    if any(made.versions[name] != metadata.version(name) for name in ("pyarrow", "pillow")):
        pytest.skip("other versions of pyarrow or Pillow write other bytes")
    pairs = ingest(PhantomSource(PhantomConfig(items=64, seed=5)), str(store / "again"))
    assert pairs.id == made.id
    assert BuildIndex("vectors", "index-again", shards=2).run().id == answers()["ids"]["index"]
