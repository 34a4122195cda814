"""CheXpert; every value here is invented."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.chexpert import LABELS, ChexpertSource
from support.images import encoded_image

Judge = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve training patients, the second with two studies, and three of the validation set."""
    folder = tmp_path / "CheXpert-v1.0-small"
    for part, patients in (("train", range(12, 0, -1)), ("valid", range(90, 93))):
        rows = []
        for patient in patients:
            for study in range(1, 3 if patient == 2 else 2):
                name = f"{part}/patient{patient:05d}/study{study}/view1_frontal.jpg"
                (folder / name).parent.mkdir(parents=True)
                (folder / name).write_bytes(encoded_image(patient))
                head = {"Path": f"{folder.name}/{name}", "Sex": "Female", "Age": "61",
                        "Frontal/Lateral": "Frontal", "AP/PA": ""}  # fmt: skip
                marks = dict.fromkeys(LABELS, "") | {"Fracture": "1.0", "Edema": "0.0"}
                marks["Pneumonia"] = "-1.0"
                rows.append({**head, **marks})
        with (folder / f"{part}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return tmp_path


@pytest.mark.parametrize("inside", [True, False])
def test_tables(root: Path, judge: Judge, inside: bool) -> None:
    """The folder or what it lies in: both are what people call the data set's folder."""
    rows = judge(ChexpertSource(str(root / "CheXpert-v1.0-small" if inside else root)))
    assert [row["split"] for row in rows] == ["train"] * 13 + ["val"] * 3
    assert [row["group_id"] for row in rows[:4]] == [
        "patient00001", "patient00002", "patient00002", "patient00003",
    ]  # fmt: skip
    second = rows[2]
    assert second["item_id"] == "train/patient00002/study2/view1_frontal.jpg"
    assert second["image"] == encoded_image(2)
    assert second["labels"] == ["Fracture"]
    assert second["texts"] == []
    meta = dict(second["meta"])
    assert meta.pop("licence").startswith("Stanford")
    assert meta == {
        "study_id": "patient00002/study2", "view": "Frontal", "sex": "Female", "age": "61",
        "uncertain": "Pneumonia",
    }  # fmt: skip
    assert all(row["reason"] is None for row in rows)


def test_foreign_path_and_lost_film_are_counted(root: Path, judge: Judge) -> None:
    """A film that cannot be found, or that tells no patient, must be counted."""
    folder = root / "CheXpert-v1.0-small"
    (folder / "valid/patient00090/study1/view1_frontal.jpg").unlink()
    table = (folder / "valid.csv").read_text()
    (folder / "valid.csv").write_text(table.replace("patient00091/", "someone/"))
    rows = judge(ChexpertSource(str(root)))
    assert [row["reason"] for row in rows[-3:]] == ["missing image", None, "malformed row"]


@pytest.mark.parametrize("name", ["train.csv", "valid.csv"])
def test_missing_table_is_named(root: Path, name: str) -> None:
    """Whoever gave the wrong folder must read what was sought."""
    (root / "CheXpert-v1.0-small" / name).unlink()
    with pytest.raises(CrossRayError, match=f"has no {name}; .*stanfordmlgroup"):
        ChexpertSource(str(root)).plan()


def test_labels_that_are_none(root: Path, judge: Judge) -> None:
    """A value that the labeler never writes must be seen, not read as not mentioned."""
    table = root / "CheXpert-v1.0-small/train.csv"
    sound = judge(ChexpertSource(str(root)))
    lines = table.read_text().splitlines()
    lines[1] = lines[1].replace("1.0,", "yes,", 1)
    lines[2] += ",1.0"
    lines[3] = lines[3].rpartition(",")[0]
    table.write_text("\n".join(lines) + "\n")
    rows = judge(ChexpertSource(str(root)))
    faulty = [row for row in rows if row["reason"]]
    assert [row["reason"] for row in faulty] == ["malformed row"] * 3
    assert sum("'yes', not 1.0" in row["detail"] for row in faulty) == 1
    assert sum("cells where the header has" in row["detail"] for row in faulty) == 2
    assert [row for row in rows if not row["reason"]] == sound[:10] + sound[13:]
