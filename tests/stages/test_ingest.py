"""Ingest through Ray Data: what is taken, what is rejected, what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydicom.uid import BasicTextSRStorage

from crossray.core.artifacts import Artifact, open_artifact, verify
from crossray.core.errors import CrossRayError
from crossray.data.ingest.counts import IngestCounts
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.sources.csv import CsvSource
from crossray.data.sources.dicom import DicomSource
from crossray.data.split import SPLITS
from crossray.data.transforms import decode_image
from crossray.stages import ingest as engine
from crossray.stages.ingest import ingest
from support.dicom import film, ramp, save
from support.pairs import read_pairs
from support.raster_files import png

Rows = list[dict[str, Any]]
WriteTable = Callable[..., tuple[str, str]]
pytestmark = pytest.mark.usefixtures("ray_cluster")


def _rows(count: int) -> Rows:
    return [
        {
            "id": f"item-{i:04d}",
            "image": f"{i % 40}.jpg",
            "text": f"caption {i}",
            "patient": f"p{i // 2}",
            "split": ("train", "train", "test")[(i // 2) % 3],
            "labels": "cat|dog" if i % 2 else "dog",
        }
        for i in range(count)
    ]


def _source(table: str, images: str, **changes: Any) -> CsvSource:
    options: dict[str, Any] = {
        "text_columns": "text", "id_column": "id", "group_column": "patient",
        "split_column": "split", "label_column": "labels",
    }  # fmt: skip
    return CsvSource(table, images, **{**options, **changes})


def _rejected(artifact: Artifact) -> Rows:
    rows: Rows = pq.read_table(artifact.local() / "rejected.parquet").to_pylist()
    return rows


def test_all_rows_arrive_in_order(write_table: WriteTable, tmp_path: Path) -> None:
    """Lost or shuffled rows break every index that refers to a row by number."""
    rows = _rows(500)
    artifact = ingest(_source(*write_table(rows)), str(tmp_path / "out"))
    table = read_pairs(artifact)
    assert table.schema.equals(PAIR_SCHEMA)
    assert table["item_id"].to_pylist() == [row["id"] for row in rows]
    assert table["texts"].to_pylist() == [[row["text"]] for row in rows]
    folder = tmp_path / "set" / "images"
    assert table["image"].to_pylist() == [(folder / row["image"]).read_bytes() for row in rows]
    expected = {
        "items": 500, "groups": 250, "images": 500, "texts": 500, "without_text": 0,
        "splits": {"train": 334, "val": 0, "test": 166},
        "labels": {"cat": 250, "dog": 500}, "rejected": {}, "max_rejected": 0.01,
        "input": {"table": str(tmp_path / "set/table.csv"), "images": str(folder)},
    }  # fmt: skip
    assert {name: artifact.manifest.metrics[name] for name in expected} == expected
    verify(artifact)


def test_reports_are_labelled(write_table: WriteTable, tmp_path: Path) -> None:
    """`--label-reports` must work in the workers, and the manifest must say that a rule read."""
    rows = _rows(4)
    for row, text in zip(rows, ("Small effusion.", "Possible edema.", "A dog.", "x"), strict=True):
        row |= {"text": text, "labels": "" if text != "x" else "mine"}
    table = _source(*write_table(rows))
    plain, zeros, ones = (
        ingest(table, str(tmp_path / f"{policy}"), label_reports=policy)
        for policy in (None, "zeros", "ones")
    )
    assert read_pairs(plain)["labels"].to_pylist() == [[], [], [], ["mine"]]
    assert read_pairs(zeros)["labels"].to_pylist() == [["Pleural Effusion"], [], [], ["mine"]]
    found = [["Pleural Effusion"], ["Lung Opacity", "Edema"], [], ["mine"]]
    assert read_pairs(ones)["labels"].to_pylist() == found
    assert any(note.startswith("2 of 4 items have labels") for note in ones.manifest.notes)
    assert ones.manifest.config["label_reports"]["uncertain"] == "ones"
    assert "label_reports" not in plain.manifest.config


def test_every_reason_is_reported(write_table: WriteTable, tmp_path: Path) -> None:
    """A row that vanishes without a reason is a patient missing from a study."""
    rows = _rows(60)
    broken = {
        3: ("image", "none.jpg", "missing image"),
        5: ("image", "cut.jpg", "broken image"),
        8: ("image", "bomb.bmp", "image too large"),
        11: ("image", "../table.csv", "image outside the folder"),
        14: ("text", "  ", "missing text"),
        17: ("text", "x" * 100_001, "text too long"),
        20: ("id", "item-0001", "duplicate id"),
        23: ("split", "val", "group crosses splits"),
        26: ("split", "fold7", "unknown split"),
        29: ("text", "@BYTE@", "not UTF-8"),
        32: ("id", " ", "missing id"),
        35: ("text", "@EXTRA@", "malformed row"),
    }
    for at, (column, value, _) in broken.items():
        rows[at] = {**rows[at], column: value}
    table, images = write_table(rows, skip=("none.jpg", "../table.csv", "cut.jpg", "bomb.bmp"))
    whole = Path(images, "0.jpg").read_bytes()
    Path(images, "cut.jpg").write_bytes(whole[: len(whole) // 2])
    header = b"BM" + bytes(12) + (40).to_bytes(4, "little") + (20_000).to_bytes(4, "little") * 2
    Path(images, "bomb.bmp").write_bytes(header + b"\1\0\x18\0" + bytes(24))
    content = Path(table).read_bytes()
    Path(table).write_bytes(content.replace(b"@BYTE@", b"caf\xe9").replace(b"@EXTRA@", b"a,b"))

    artifact = ingest(_source(table, images), str(tmp_path / "out"), max_rejected=0.25)

    expected = [(f"line {at + 2}", reason) for at, (_, _, reason) in sorted(broken.items())]
    found = _rejected(artifact)
    assert [(row["where"], row["reason"]) for row in found] == expected
    assert artifact.manifest.metrics["rejected"] == dict.fromkeys((r for _, r in expected), 1)
    assert found[0]["item_id"] == "item-0003"
    assert "none.jpg" in found[0]["detail"]
    kept = [row["id"] for at, row in enumerate(rows) if at not in broken]
    assert read_pairs(artifact, ["item_id"])["item_id"].to_pylist() == kept


def test_first_row_wins(write_table: WriteTable, tmp_path: Path) -> None:
    """Were the later of two equal ids taken, adding a row could change an earlier one."""
    rows = _rows(10)
    rows[7] = {**rows[7], "id": "item-0002"}
    rows[4] = {**rows[4], "patient": "p0", "split": "test"}
    artifact = ingest(_source(*write_table(rows)), str(tmp_path / "out"), max_rejected=0.5)
    table = read_pairs(artifact)
    assert table.filter(table["item_id"].to_numpy(zero_copy_only=False) == "item-0002")[
        "texts"
    ].to_pylist() == [["caption 2"]]
    assert [row["detail"] for row in _rejected(artifact)] == [
        "group 'p0' is in train, this row in test",
        "an earlier row has the id 'item-0002'",
    ]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three films among structured reports and a text file."""
    for number in range(3):
        save(film(ramp(), number), tmp_path / f"archive/{number}")
        structured = film(ramp(), 50 + number, SOPClassUID=BasicTextSRStorage)
        save(structured, tmp_path / f"archive/sr/{number}")
    (tmp_path / "archive/notes.txt").write_text("films")
    return tmp_path / "archive"


def test_passes_over_what_is_no_image(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reports and indexes lie among films in every archive and must not fail its ingest."""
    artifact = ingest(DicomSource(str(archive)), str(tmp_path / "out"), max_rejected=0.0)
    metrics = artifact.manifest.metrics
    assert (metrics["items"], metrics["images"], metrics["rejected"]) == (3, 3, {})
    assert metrics["passed_over"] == {"not an image": 3, "not DICOM": 1}
    assert "passed over: not an image" in capsys.readouterr().err
    for name in ("0", "1", "2"):
        (archive / name).unlink()
    with pytest.raises(CrossRayError, match=r"4 of 4 rows were rejected.*'not an image'"):
        ingest(DicomSource(str(archive)), str(tmp_path / "none"), max_rejected=1.0)


def test_groups_that_make_a_split_useless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anonymised films often share one patient's id; then all are in training, or none."""
    for number in range(12):
        patient = "anonymous" if number < 9 else f"p{number}"
        dataset = film(ramp(), number, PatientID=patient, StudyInstanceUID=f"1.9.{number}")
        save(dataset, tmp_path / f"films/{number}.dcm")
    artifact = ingest(DicomSource(str(tmp_path / "films")), str(tmp_path / "out"))
    screen = " ".join(capsys.readouterr().err.split())
    largest, empty = artifact.manifest.notes
    assert largest.startswith("one group holds 9 of 12 items, all in one split")
    splits = artifact.manifest.metrics["splits"]
    names = " and ".join(name for name in SPLITS if not splits[name])
    assert empty.startswith(f"no item is in {names}; the 12 items are in 4 groups")
    assert f"note: {largest} note: {empty}" in screen


def test_groups_that_are_as_they_should_be(tmp_path: Path) -> None:
    """A note on every ingest would be read by nobody."""
    counts = IngestCounts()
    for number in range(40):
        split = SPLITS[number // 2 % 3]
        assert counts.admit(f"i{number}", f"g{number // 2}", split) is None
        counts.splits[split] += 1
    assert counts.notes("auto") == []
    assert IngestCounts().notes("auto") == []


def test_too_many_rejected_rows_fail(
    write_table: WriteTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A set that lost a tenth of its rows looks like a success until the results are wrong."""
    rows = _rows(40)
    for at in (10, 20, 30):
        rows[at] = {**rows[at], "text": ""}
    rows[35] = {**rows[35], "id": "item-0001"}
    source = _source(*write_table(rows))
    out = tmp_path / "store" / "out"
    with pytest.raises(CrossRayError) as caught:
        ingest(source, str(out), max_rejected=0.09)
    for part in ("4 of 40", "0.09", "'missing text' (3 rows)", "first at line 12"):
        assert part in str(caught.value)
    table = capsys.readouterr().err
    assert "missing text" in table
    assert "duplicate id" in table
    assert list(out.parent.iterdir()) == []
    assert ingest(source, str(out), max_rejected=0.1).manifest.metrics["items"] == 36


def test_one_caption_a_row_is_told_its_option(write_table: WriteTable, tmp_path: Path) -> None:
    """Four in five rows of Kaggle's Flickr8k are no duplicates; the user must read what to do."""
    rows = [{"image": f"{at // 5}.jpg", "text": f"caption {at}"} for at in range(20)]
    table, images = write_table(rows)
    with pytest.raises(CrossRayError, match=r"'duplicate id' .* --group-captions, mend the input"):
        ingest(CsvSource(table, images, "text"), str(tmp_path / "out"))
    grouped = CsvSource(table, images, "text", group_captions=True)
    metrics = ingest(grouped, str(tmp_path / "out")).manifest.metrics
    assert (metrics["items"], metrics["texts"], metrics["rejected"]) == (4, 20, {})


def test_nothing_accepted_fails(write_table: WriteTable, tmp_path: Path) -> None:
    """An artifact without items makes the next stage fail far from the cause."""
    rows = [{**row, "text": ""} for row in _rows(5)]
    with pytest.raises(CrossRayError, match="5 of 5 rows were rejected"):
        ingest(_source(*write_table(rows)), str(tmp_path / "out"), max_rejected=1.0)


def test_same_content_same_id(write_table: WriteTable, tmp_path: Path) -> None:
    """Without it nobody can tell whether two artifacts hold the same data."""
    rows = _rows(150)
    here = ingest(_source(*write_table(rows, "here")), str(tmp_path / "a"))
    moved = ingest(_source(*write_table(rows, "moved")), str(tmp_path / "b"))
    assert here.id == moved.id
    rows[149]["text"] = "another caption"
    other = ingest(_source(*write_table(rows, "other")), str(tmp_path / "c"))
    assert other.id != here.id


def test_range_of_deep_greys_is_told(write_table: WriteTable, tmp_path: Path) -> None:
    """Films that were brightened by different factors must be known as such afterwards."""
    rows = _rows(4)
    table, images = write_table(rows)
    levels = np.linspace(0, 1, 64).reshape(4, 16, 1)
    for name, high in (("1.jpg", 4095), ("2.jpg", 4000), ("3.jpg", 65_535)):
        Path(images, name).write_bytes(png(np.rint(levels * high).astype("u4"), 16, 0))
    seen: dict[str, list[int]] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for grey_range in ("auto", "full", "0..4095"):
        out = str(tmp_path / grey_range.replace(".", "-"))
        artifact = ingest(_source(table, images), out, grey_range=grey_range)
        manifest = artifact.manifest
        assert manifest.metrics["grey_range"] == grey_range
        assert manifest.config.get("grey_range", "auto") == grey_range
        stored = read_pairs(artifact).to_pylist()
        seen[grey_range] = [int(decode_image(row["image"])[0].max()) for row in stored[1:]]
        notes[grey_range] = manifest.notes
        told = [dict(row["meta"]).get("grey_range") for row in stored]
        counts = manifest.metrics["grey_ranges"]
        assert counts == {name: told.count(name) for name in told if name}
        assert sum(counts.values()) == 3
    assert seen == {
        "auto": [255, 249, 255], "full": [16, 16, 255], "0..4095": [255, 249, 255],
    }  # fmt: skip
    assert "0..4095 in 2, 0..65535 in 1; give --grey-range" in notes["auto"][-1]
    assert "(--grey-range full) are 0..65535 in 3." in notes["full"][-1]
    assert "0..4095 in 2, 0..4095, cut off in 1." in notes["0..4095"][-1]
    with pytest.raises(CrossRayError, match="--grey-range 12 is no range"):
        ingest(_source(table, images), str(tmp_path / "none"), grey_range="12")
    assert not (tmp_path / "none").exists()


def test_seed_assigns_missing_splits(write_table: WriteTable, tmp_path: Path) -> None:
    """Without a split column every group must still be in exactly one split."""
    source = _source(*write_table(_rows(200)), split_column=None)
    tables = [
        read_pairs(ingest(source, str(tmp_path / str(seed)), seed=seed), ["group_id", "split"])
        for seed in (0, 1)
    ]
    for table in tables:
        homes = {(row["group_id"], row["split"]) for row in table.to_pylist()}
        assert len(homes) == 100
    assert tables[0] != tables[1]


def test_existing_output_is_refused(write_table: WriteTable, tmp_path: Path) -> None:
    """A slip in the name would overwrite days of work."""
    (tmp_path / "out").mkdir()
    with pytest.raises(CrossRayError, match="already exists"):
        ingest(_source(*write_table(_rows(2))), str(tmp_path / "out"))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_share_out_of_range(share: float, write_table: WriteTable, tmp_path: Path) -> None:
    """`--max-rejected 5`, meant as per cent, would accept anything."""
    with pytest.raises(CrossRayError, match="from 0 to 1"):
        ingest(_source(*write_table(_rows(2))), str(tmp_path / "out"), max_rejected=share)


def test_full_disk_leaves_nothing(
    write_table: WriteTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an artifact on a full disk would be taken for a whole one."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine.PairWriter, "write", full)
    out = tmp_path / "store" / "out"
    with pytest.raises(CrossRayError, match="No space left"):
        ingest(_source(*write_table(_rows(80))), str(out))
    assert list(out.parent.iterdir()) == []


def test_vanished_input(
    write_table: WriteTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network disk that drops out must give a sentence, not a worker's traceback."""
    table, images = write_table(_rows(80))
    monkeypatch.setattr(engine, "ensure_ray", lambda: Path(table).unlink())
    with pytest.raises(CrossRayError, match=r"No such file.*run it again\.$") as caught:
        ingest(_source(table, images), str(tmp_path / "out"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_killed_ingest_publishes_nothing(ray_cluster: str, tmp_path: Path) -> None:
    """A machine that dies in the middle must not leave an artifact that opens."""
    out = tmp_path / "out"
    code = (
        "from crossray.stages.ingest import ingest\n"
        "from crossray.data.sources.phantom import PhantomConfig, PhantomSource\n"
        f"ingest(PhantomSource(PhantomConfig(items=20000, seed=1)), {str(out)!r})\n"
    )
    platform = str(Path(engine.__file__).parents[2])
    environment = {**os.environ, "RAY_ADDRESS": ray_cluster, "PYTHONPATH": platform}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
    for _ in range(600):
        if list(tmp_path.glob(".out.*/part-*.parquet")):
            break
        assert child.poll() is None, child.stderr.read().decode() if child.stderr else ""
        time.sleep(0.1)
    else:
        pytest.fail("no part was written within a minute")
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with pytest.raises(CrossRayError, match="no artifact"):
        open_artifact(str(out))
