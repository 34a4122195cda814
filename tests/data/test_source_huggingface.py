"""Parquet and Arrow files in the layout of the Hugging Face hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossray.core.errors import CrossRayError
from crossray.data.sources.huggingface import HuggingFaceSource

Judge = Callable[..., list[dict[str, Any]]]
Encode = Callable[..., bytes]
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def _table(encode: Encode, count: int, first: int = 0) -> pa.Table:
    return pa.table(
        {
            "image": pa.array(
                [
                    {"bytes": encode("PNG", seed=first + i), "path": f"{i}.png"}
                    for i in range(count)
                ],
                IMAGE,
            ),
            "text": [f"text {first + i}" for i in range(count)],
            "tags": [["a", "b"][: (first + i) % 3] for i in range(count)],
            "key": [f"k{first + i}" for i in range(count)],
            "unread": list(range(count)),
        }
    )


@pytest.fixture
def hub(tmp_path: Path, encode: Encode) -> Path:
    """Two training shards with several row groups and one validation shard."""
    (tmp_path / "data").mkdir()
    for name, count, first in (
        ("train-00000-of-00002", 40, 0),
        ("train-00001-of-00002-0a1b2c", 30, 40),
        ("validation-00000-of-00001", 5, 70),
    ):
        pq.write_table(
            _table(encode, count, first), tmp_path / f"data/{name}.parquet", row_group_size=18
        )
    return tmp_path


def test_parquet_folder(hub: Path, judge: Judge, encode: Encode) -> None:
    """Rows of the hub's standard layout must keep order, split and content."""
    rows = judge(HuggingFaceSource(str(hub), label_column="tags"))
    assert [row["texts"] for row in rows] == [[f"text {i}"] for i in range(75)]
    assert [row["split"] for row in rows] == ["train"] * 70 + ["val"] * 5
    assert [rows[0]["item_id"], rows[69]["item_id"], rows[70]["item_id"]] == [
        "train-0", "train-69", "val-0",
    ]  # fmt: skip
    assert rows[5]["labels"] == ["a", "b"]
    assert all(row["image"] == encode("PNG", seed=i) for i, row in enumerate(rows))


def test_glob_and_id_column(hub: Path, judge: Judge) -> None:
    """One shard of a large set is how everybody tries it first."""
    source = HuggingFaceSource(str(hub / "data/train-00001*.parquet"), id_column="key")
    assert [row["item_id"] for row in judge(source)] == [f"k{i}" for i in range(40, 70)]


@pytest.mark.parametrize("form", ["stream", "file"])
def test_arrow_files(tmp_path: Path, judge: Judge, encode: Encode, form: str) -> None:
    """What the datasets library keeps in its cache is Arrow, not Parquet."""
    table = _table(encode, 20)
    folder = tmp_path / "test"
    folder.mkdir()
    writer = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
    with writer(str(folder / "data-00000-of-00001.arrow"), table.schema) as sink:
        sink.write_table(table, max_chunksize=6)
    rows = judge(HuggingFaceSource(str(tmp_path)))
    assert [row["texts"] for row in rows] == [[f"text {i}"] for i in range(20)]
    assert {row["split"] for row in rows} == {"test"}


def test_saved_by_the_datasets_library(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """The layout is defined by what that library writes."""
    content = {
        "image": [encode("PNG", seed=i) for i in range(6)],
        "text": [f"t{i}" for i in range(6)],
    }
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    written = datasets.Dataset.from_dict(content, features=features)
    datasets.DatasetDict({"train": written}).save_to_disk(str(tmp_path / "saved"))
    written.to_parquet(str(tmp_path / "flat/test.parquet"))
    for folder, split in (("saved", "train"), ("flat", "test")):
        rows = judge(HuggingFaceSource(str(tmp_path / folder)))
        assert [row["image"] for row in rows] == content["image"]
        assert [(row["texts"], row["split"]) for row in rows] == [
            ([f"t{i}"], split) for i in range(6)
        ]


def test_hub_id_reads_the_cache(
    hub: Path, tmp_path: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id must give the same rows as the folder that it stands for."""
    load = datasets.load_dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name: (
            load(str(hub), cache_dir=str(tmp_path / "cache")) if name == "me/set" else None
        ),
    )
    source = HuggingFaceSource("me/set")
    rows = judge(source)
    assert [row["texts"] for row in rows] == [[f"text {i}"] for i in range(75)]
    assert [row["split"] for row in rows] == ["train"] * 70 + ["val"] * 5
    assert source.identity()["path"] == "me/set"
    assert "path" not in HuggingFaceSource(str(hub)).identity()


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the user must read what to do, not a chain of tracebacks."""

    def offline(name: str) -> None:
        raise ConnectionError(f"Couldn't reach {name!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(CrossRayError, match="check the id and the network"):
        HuggingFaceSource("nobody/nothing").plan()


@pytest.mark.parametrize("path", ["/no/such/folder", "./nothing", "a/b/c/*.parquet"])
def test_missing_folder_is_no_hub_id(path: str) -> None:
    """A mistyped folder must not be looked up on the network."""
    with pytest.raises(CrossRayError, match="no Parquet or Arrow file"):
        HuggingFaceSource(path).plan()


def test_other_shapes_of_columns(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Sets give images as bytes or as paths, texts as lists, labels as numbers."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.png").write_bytes(encode("PNG"))
    images = [{"bytes": None, "path": "p/a.png"}, {"bytes": None, "path": "../secret"}, None]
    table = pa.table(
        {
            "image": pa.array(images, IMAGE),
            "text": [["one", " two "], ["x"], ["x"]],
            "label": pa.array([3, 4, None]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), label_column="label"))
    assert rows[0]["image"] == encode("PNG")
    assert rows[0]["texts"] == ["one", "two"]
    assert rows[0]["labels"] == ["3"]
    assert [row["reason"] for row in rows] == [None, "image outside the folder", "missing image"]
    pq.write_table(pa.table({"image": [encode("PNG")], "text": ["t"]}), tmp_path / "x.parquet")
    assert judge(HuggingFaceSource(str(tmp_path)))[0]["image"] == encode("PNG")


def test_wrong_encoding_costs_one_row(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Files by careless writers hold bytes that are not UTF-8; the other rows are good."""
    bad = pa.array([b"good", b"caf\xe9", b"good"]).view(pa.string())
    image = pa.array([{"bytes": encode("PNG"), "path": None}] * 3, IMAGE)
    pq.write_table(pa.table({"image": image, "text": bad}), tmp_path / "train.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path)))
    assert [row["reason"] for row in rows] == [None, "not UTF-8", None]
    assert rows[1]["where"] == "train.parquet row 1"


def test_document(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Reports on the hub are documents, too."""
    image = pa.array([{"bytes": encode("PNG"), "path": None}], IMAGE)
    table = pa.table({"image": image, "findings": ["Heart normal. Lungs clear."]})
    pq.write_table(table, tmp_path / "train.parquet")
    row = judge(HuggingFaceSource(str(tmp_path), text_columns="findings", document=True))[0]
    assert row["texts"] == ["Heart normal.", "Lungs clear."]
    assert row["sections"] == [{"name": "findings", "start": 0, "stop": 2}]


def test_unusable_files(tmp_path: Path, encode: Encode) -> None:
    """Wrong columns and damaged files must be refused before any work is done."""
    pq.write_table(_table(encode, 3), tmp_path / "train.parquet")
    with pytest.raises(CrossRayError, match="no column 'caption'; its columns are image, text"):
        HuggingFaceSource(str(tmp_path), text_columns="caption").plan()
    (tmp_path / "test.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(CrossRayError, match="cannot be read"):
        HuggingFaceSource(str(tmp_path)).plan()


def test_class_numbers(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """Labels 0 and 1 say nothing; the hub's files name their classes."""
    classes = datasets.ClassLabel(names=["film", "photo"])
    features = datasets.Features(
        {"text": datasets.Value("string"), "kind": classes, "kinds": datasets.List(classes)}
    )
    content = {"text": ["a", "b", "c"], "kind": [1, 0, -1], "kinds": [[0, 1], [1], []]}
    table = datasets.Dataset.from_dict(content, features=features)
    table.to_parquet(tmp_path / "train.parquet")
    options = {"image_column": "", "label_column": "kind"}
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert [row["labels"] for row in rows] == [["photo"], ["film"], []]
    rows = judge(HuggingFaceSource(str(tmp_path), **options | {"label_column": "kinds"}))
    assert [row["labels"] for row in rows] == [["film", "photo"], ["photo"], []]
    schema = pq.read_schema(tmp_path / "train.parquet")
    wrong = pa.table({**content, "kind": [1, 7, 0]}, schema=schema)
    pq.write_table(wrong, tmp_path / "train.parquet")
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert [row["reason"] for row in rows] == [None, "malformed row", None]


def test_rocov2(tmp_path: Path, judge: Judge, encode: Encode) -> None:
    """ROCOv2 is handed out on the hub alone: captions, and concepts as lists."""
    for split, first in (("train", 0), ("validation", 2), ("test", 4)):
        table = pa.table(
            {
                "image": pa.array([{"bytes": encode(seed=first + k), "path": None} for k in (0, 1)],
                                  IMAGE),
                "image_id": [f"ROCOv2_2023_{split}_{k:06d}" for k in (1, 2)],
                "caption": [f"CT {first + k}" for k in (0, 1)],
                "cui": [["C0040405"], ["C0040405", "C0817096"]],
            }
        )  # fmt: skip
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / f"data/{split}-00000-of-00001.parquet")
    options = {"text_columns": "caption", "id_column": "image_id", "label_column": "cui"}
    rows = judge(HuggingFaceSource(str(tmp_path), **options))
    assert Counter(row["split"] for row in rows) == {"train": 2, "val": 2, "test": 2}
    by_id = {row["item_id"]: row for row in rows}
    last = by_id["ROCOv2_2023_validation_000002"]
    assert (last["split"], last["texts"]) == ("val", ["CT 3"])
    assert last["labels"] == ["C0040405", "C0817096"]
    assert last["image"] == encode(seed=3)
