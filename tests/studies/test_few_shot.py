"""The job of few shots: what it trains on, asks, takes up again and refuses; nothing is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crossray.core.artifacts import open_artifact
from crossray.core.errors import CrossRayError
from crossray.evaluation.significance.compare import compare_reports
from crossray.stages.pretrain import Pretrain
from crossray.studies.few_shot import FewShots
from support.pairs import phantom_pairs, read_pairs
from support.repeats import no_training, small_recipe, untrained

HELD_OUT = ("Fracture", "Pneumothorax")


def test_examples_grow_and_only_unseen_labels_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curve is over the examples alone: same queries, same labels, one seed a draw."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Pretrain, "run", untrained)
    pairs = phantom_pairs(str(tmp_path / "pairs"), 220)
    job = FewShots("pairs", "out", small_recipe(), HELD_OUT, shots=(3, 1), draws=2)
    report = job.run()
    content = json.loads((report.local() / "report.json").read_text())
    assert list(content["variants"]) == ["0 examples", "1 example", "3 examples"]
    assert content["full"] == "0 examples"
    assert content["held_out"] == list(HELD_OUT)
    assert report.manifest.parents[0].id == pairs.id
    examples: dict[tuple[int, int], set[str]] = {}
    for shots in (0, 1, 3):
        found = []
        for draw in (0, 1):
            run = Path(f"{report.uri}-runs/shots-{shots}/draw-{draw}")
            data = open_artifact(str(run / "pairs" if shots else run.parent / "pairs"), "pairs")
            rows = read_pairs(data, ["item_id", "labels"], "train").to_pylist()
            seen = {r["item_id"]: set(HELD_OUT) & set(r["labels"]) for r in rows}
            examples[shots, draw] = {item for item, labels in seen.items() if labels}
            for label in HELD_OUT:
                assert sum(label in labels for labels in seen.values()) >= shots
            assert len(examples[shots, draw]) <= 2 * shots * 3  # a study may have several films
            single = open_artifact(str(run / "report"), "report")
            assert single.manifest.config["query_labels"] == list(HELD_OUT)
            teacher = open_artifact(str(run / "teacher"), "teacher")
            assert teacher.manifest.config["train"]["seed"] == draw
            found.append(single.manifest.metrics)
        name = "1 example" if shots == 1 else f"{shots} examples"
        for direction, metrics in content["variants"][name]["metrics"].items():
            for metric in ("R@10", "mAP@all"):
                mean = np.mean([single[direction][metric] for single in found])
                assert metrics[metric] == pytest.approx(mean)
    assert not examples[0, 0]
    assert examples[1, 0] < examples[3, 0]
    assert examples[3, 0] != examples[3, 1]
    with pytest.raises(CrossRayError, match="is of many runs"):
        compare_reports([report, report])
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(Pretrain, "run", no_training)
    assert job.run().id == report.id, "all from what was there"


def test_counts_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zero-shot is run in any case; more examples than there are cannot be drawn."""
    monkeypatch.setenv("CROSSRAY_STORE", str(tmp_path))
    monkeypatch.setattr(Pretrain, "run", no_training)
    phantom_pairs(str(tmp_path / "pairs"), 60)
    for shots, draws in (((0, 1), 1), ((), 1), ((1,), 0)):
        with pytest.raises(CrossRayError, match="count from 1"):
            FewShots("pairs", "out", small_recipe(), HELD_OUT, shots=shots, draws=draws).run()
    with pytest.raises(CrossRayError, match="no test item carries the label 'Fractures'"):
        FewShots("pairs", "out", small_recipe(), ("Fractures",), shots=(1,), draws=1).run()
    with pytest.raises(CrossRayError, match="900 examples of 'Fracture' were asked for"):
        FewShots("pairs", "out", small_recipe(), ("Fracture",), shots=(900, 1), draws=1).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs"]
