"""Which epoch's weights a run keeps, when it stops, and what a report says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.evaluation.report.selection_section import selection_section
from crossray.model_evaluation.selection import selection_notes, selection_of
from crossray.recipes import get_recipe
from crossray.training.checkpoint import Progress
from crossray.training.loop import judged

RECALLS = (0.5, 0.7, 0.6, 0.65, 0.8)


def run(select_by: str, patience: int) -> Progress:
    """The progress after epochs of these recalls, or after the epoch that stopped the run."""
    recipe = get_recipe("hier_tiny")
    train = replace(recipe.train, select_by=select_by, patience=patience)  # type: ignore[arg-type]
    progress = Progress()
    for epoch, recall in enumerate(RECALLS, start=1):
        quality = {"image_to_text": {"R@10": recall}, "text_to_image": {"R@10": recall - 0.1}}
        progress = judged(progress, replace(recipe, train=train), quality, epoch)
        if progress.stopped:
            break
    return progress


@pytest.mark.parametrize(
    ("select_by", "patience", "kept", "stopped"),
    [
        pytest.param("R@10", 2, 2, True, id="patience ends before the best epoch"),
        pytest.param("R@10", 3, 5, False, id="the best epoch"),
        pytest.param("last", 1, 5, False, id="the last one never stops early"),
    ],
)
def test_kept_epoch(select_by: str, patience: int, kept: int, stopped: bool) -> None:
    """A run would publish weights that its recipe did not ask for."""
    progress = run(select_by, patience)
    assert (progress.best_epoch, progress.stopped) == (kept, stopped)
    assert progress.best_file == f"best-{kept}.safetensors"
    assert progress.best_metrics is not None
    assert progress.best_metrics["image_to_text"]["R@10"] == RECALLS[kept - 1]


def publish(folder: Path, name: str, kind: Any, *parents: Artifact, **train: Any) -> Artifact:
    """An artifact as training leaves it, without its payload."""
    usual = {"select_by": "R@10", "epochs": 8, "validation_items": 2000, "selection": "validation"}
    with create(str(folder / name), kind, {"train": {**usual, **train}}, parents) as draft:
        draft.metrics["best_epoch"] = 5
    return open_artifact(str(folder / name))


def test_a_report_says_on_what_each_model_was_selected(tmp_path: Path) -> None:
    """A figure on the queries that chose the model would be believed."""
    pairs, other = (publish(tmp_path, name, "pairs", seed=name) for name in ("pairs", "other"))
    teacher = publish(tmp_path, "teacher", "teacher", pairs, selection="test")
    student = publish(tmp_path, "student", "student", teacher, pairs)
    section = selection_section(selection_of(student, pairs))
    assert section.alarm, "a student inherits it"
    assert section.words == [
        f"The student {student.id[:12]} is epoch 5 of at most 8, the best by R@10 (mean of both "
        "directions) on the validation split of these pairs, of which at most 2,000 items were "
        "looked at.",
        f"The teacher {teacher.id[:12]} is epoch 5 of at most 8, the best by R@10 (mean of both "
        "directions) on TEST QUERIES of these pairs, of which at most 2,000 items were looked at.",
    ]
    elsewhere = selection_section(selection_of(teacher, other))
    assert f"TEST QUERIES of the pairs {pairs.id[:12]}," in elsewhere.words[0]
    (tmp_path / "teacher").rename(tmp_path / "moved")
    section = selection_section(selection_of(student, pairs))
    assert (len(section.words), section.alarm) == (2, False)
    assert f"teacher {teacher.id[:12]} is no longer there" in section.words[1]
    publish(tmp_path, "teacher", "teacher", pairs, epochs=9)
    assert selection_of(student, pairs).unknown == (f"teacher {teacher.id[:12]}",)


def test_models_from_before_the_choice_were_selected_on_validation(tmp_path: Path) -> None:
    """Every teacher trained before would have to be trained again."""
    pairs = publish(tmp_path, "pairs", "pairs")
    with create(str(tmp_path / "old"), "teacher", _without_choice(), [pairs]) as draft:
        draft.metrics["best_epoch"] = 3
    section = selection_section(selection_of(open_artifact(str(tmp_path / "old")), pairs))
    assert "is its last epoch, 3: none was selected" in section.words[0]
    assert not section.alarm


def _without_choice() -> dict[str, Any]:
    return {"train": {"select_by": "last", "epochs": 3, "validation_items": 10}}


def test_only_a_choice_on_test_queries_warns() -> None:
    """A warning on every run is read by nobody."""
    train = get_recipe("hier_tiny").train
    assert train.validation_split == "val"
    assert selection_notes("teacher", train) == []
    chosen = replace(train, selection="test")
    assert chosen.validation_split == "test"
    (note,) = selection_notes("the teacher t", chosen)
    assert note.startswith("WARNING: the teacher t was selected on test queries")
