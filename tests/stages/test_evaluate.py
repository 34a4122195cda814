"""An evaluation's report of where its figures come from, for models that nobody trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from pyarrow import fs

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.store import filesystem
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.shards import PairWriter
from crossray.data.split import SPLITS
from crossray.distill import DistillationConfig
from crossray.methods.config import MethodConfig
from crossray.models.artifact import save_weights
from crossray.models.corpora import training_corpora
from crossray.models.fitting import fitted, make_tokenizer
from crossray.recipes import get_recipe
from crossray.stages.evaluate import Evaluate
from crossray.training import run
from crossray.training.run import Watch
from crossray.training.spec import RunSpec, TeacherSpec
from support.tiny import STUDENT, TINY

NOTE = "of no clinical value"
QUALITY = {"image_to_text": {"R@10": 0.5}, "text_to_image": {"R@10": 0.25}}
ITEMS = 60


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own, and training replaced by random weights of its last epoch."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(run, "ensure_ray", lambda training: None)
    monkeypatch.setattr(run, "_fit", untrained)
    return tmp_path


def untrained(spec: RunSpec, watch: Watch | None) -> dict[str, Any]:
    """What `_fit` leaves and returns."""
    torch.manual_seed(0)
    system, root = filesystem(spec.storage)
    assert isinstance(system, fs.LocalFileSystem)
    Path(root).mkdir(parents=True)
    save_weights(spec.recipe.method.build().state_dict(), Path(root) / "best-2.safetensors")
    progress = {
        "best_file": "best-2.safetensors", "best_metrics": QUALITY, "best_epoch": 2, "step": 9,
    }  # fmt: skip
    return {"progress": progress}


def ingested(store: Path, name: str = "pairs", seed: int = 1) -> Artifact:
    """Synthetic films as their importer would leave them."""
    rows = list(generate(PhantomConfig(items=ITEMS, seed=seed), 0, ITEMS))
    with create(str(store / name), "pairs", {"source": "phantom"}) as draft:
        with PairWriter(draft.path) as writer:
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        splits = {split: sum(row["split"] == split for row in rows) for split in SPLITS}
        labels = {label: 1 for row in rows for label in row["labels"]}
        draft.metrics.update(splits=splits, images=ITEMS, labels=labels)
        draft.notes.append(NOTE)
    return open_artifact(str(store / name))


def trained(
    kind: Any, method: MethodConfig, selection: Any, pairs: Artifact, *parents: Artifact
) -> Artifact:
    """A model in the store under the name of its kind."""
    recipe = replace(get_recipe("hier_tiny"), method=method)
    recipe = replace(recipe, train=replace(recipe.train, selection=selection))
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    out = str(Path(pairs.uri).parent / kind)
    recipe = fitted(recipe, tokenizer)
    spec = RunSpec(recipe, pairs, out, tokenizer)
    if kind == "student":
        (teacher,) = parents
        spec = replace(spec, teacher=TeacherSpec(teacher, DistillationConfig()))
    return run.publish(spec)


def report_of(model: Artifact, pairs: Artifact) -> tuple[dict[str, Any], str]:
    """`report.json` and `report.md` of an evaluation."""
    artifact = Evaluate(model.uri, pairs.uri, f"report-{model.kind}-{Path(pairs.uri).name}").run()
    folder = artifact.local()
    text = (folder / "report.md").read_text(encoding="utf-8")
    return json.loads((folder / "report.json").read_text(encoding="utf-8")), text


def test_students_inherit_the_warning_of_their_teacher(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A student of a teacher that was chosen on the test queries would look honest."""
    pairs = ingested(store)
    teacher = trained("teacher", TINY["clip"], "test", pairs)
    warning = "WARNING: teacher teacher was selected on test queries"
    assert warning in capsys.readouterr().err, "when the training starts"
    assert teacher.manifest.metrics["test"] == QUALITY
    assert "validation" not in json.dumps(teacher.manifest.metrics)
    student = trained("student", STUDENT, "validation", pairs, teacher)
    assert "selected on test queries" not in capsys.readouterr().err
    assert student.manifest.metrics["validation"] == QUALITY
    for model in (teacher, student):
        report, text = report_of(model, pairs)
        assert sum(note.startswith(warning) for note in report["notes"]) == 1
        assert report["notes"].count(NOTE) == 1
        assert f"> - {warning}" in text
        splits = [selected["split"] for selected in report["selection"]["models"]]
        assert splits == (["test"] if model is teacher else ["validation", "test"])


def test_the_leak_check_is_part_of_every_evaluation(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Patients of the training set in the test set would be a triumph of the model."""
    pairs = ingested(store)
    teacher = trained("teacher", TINY["clip"], "validation", pairs)
    report, text = report_of(teacher, pairs)
    assert "nothing leaks between train, val and test" in capsys.readouterr().out
    assert report["leaks"] == {
        "found": [], "items": ITEMS, "images": ITEMS, "of_images": ITEMS, "unchecked": [],
    }  # fmt: skip
    assert "Nothing leaks between train, val and test." in text
    assert report["published"] == [], "no paper has measured the phantom"
    assert not any("WARNING" in note for note in report["notes"])
    other = ingested(store, "other", seed=2)
    report, text = report_of(teacher, other)
    sentence = f"NOT compared: the pairs {pairs.id[:12]}, on which the model was trained."
    assert report["leaks"]["unchecked"] == [sentence]
    assert sentence in text
    assert sentence in capsys.readouterr().out
    assert f"on the validation split of the pairs {pairs.id[:12]}" in text


@pytest.mark.parametrize(("selection", "split"), [("validation", "val"), ("test", "test")])
def test_epochs_are_judged_on_the_split_that_was_asked_for(
    store: Path, selection: Any, split: str
) -> None:
    """A warning about test queries, and a choice on validation, or the reverse."""
    pairs = ingested(store)
    recipe = replace(get_recipe("hier_tiny"), method=TINY["clip"])
    recipe = replace(recipe, train=replace(recipe.train, selection=selection))
    tokenizer = make_tokenizer(recipe.tokenizer, pairs)
    training, judged_on = training_corpora(recipe, pairs, tokenizer)
    rows = list(generate(PhantomConfig(items=ITEMS, seed=1), 0, ITEMS))
    for corpus, wanted in ((training, "train"), (judged_on, split)):
        assert corpus.item_ids == [row["item_id"] for row in rows if row["split"] == wanted]
