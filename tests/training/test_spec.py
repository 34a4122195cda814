"""The specification of a run: what makes it another run, and what a worker gets."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

from crossray.core.artifacts import Artifact
from crossray.core.config import to_dict
from crossray.distill import DistillationConfig
from crossray.training.spec import TeacherSpec
from support.repeats import small_recipe
from support.runs import no_data


def other(artifact: Artifact, uri: str) -> Artifact:
    """An artifact of another place and identity."""
    return Artifact(uri, replace(artifact.manifest, id=uri[0] * 64))


def test_a_run_resumes_only_as_itself(tmp_path: Path) -> None:
    """With one identity for two runs the second would go on from the first one's checkpoints."""
    spec = no_data(small_recipe(), tmp_path)
    seeded = replace(spec.recipe, train=replace(spec.recipe.train, seed=7))
    changed = [
        replace(spec, recipe=seeded),
        replace(spec, out="elsewhere"),
        replace(spec, data=other(spec.data, "b")),
        replace(spec, features=other(spec.data, "c")),
        replace(spec, init=other(spec.data, "d")),
        replace(spec, teacher=TeacherSpec(other(spec.data, "e"), DistillationConfig())),
        replace(spec, start="checkpoint"),
    ]
    assert len({run.identity() for run in (spec, *changed)}) == len(changed) + 1
    assert replace(spec, track="mlflow").identity() == spec.identity()


def test_a_folder_keeps_the_name_of_earlier_versions(tmp_path: Path) -> None:
    """A run that was killed before an update would start anew under another name."""
    spec = no_data(small_recipe(), tmp_path)
    content = json.dumps([to_dict(spec.recipe), [spec.data.id], "run"], sort_keys=True)
    digits = hashlib.sha256(content.encode()).hexdigest()[:12]
    assert spec.storage == f"{tmp_path}/runs/run-{digits}"


def test_parents_stand_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    """Ids of artifacts hash their parents' in this order."""
    spec = no_data(small_recipe(), tmp_path)
    data, model = spec.data, other(spec.data, "teacher")
    features, init = other(data, "features"), other(data, "init")
    spec = replace(spec, features=features, init=init)
    assert spec.parents == (data, features, init)
    assert (spec.kind, spec.source) == ("teacher", features)
    spec = replace(spec, init=None, teacher=TeacherSpec(model, DistillationConfig()))
    assert spec.parents == (model, data, features)
    assert spec.kind == "student"


def test_workers_get_the_same_run(tmp_path: Path) -> None:
    """A worker that derived another folder would never find the checkpoints."""
    spec = no_data(small_recipe(), tmp_path)
    received = pickle.loads(pickle.dumps(spec))
    assert (received.recipe, received.storage) == (spec.recipe, spec.storage)
