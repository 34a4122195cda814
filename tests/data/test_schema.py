"""The pair schema on disk."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.data import shards
from crossray.data.schema import PAIR_SCHEMA, iter_pairs
from crossray.data.shards import PairWriter
from support.pairs import read_pairs


def _rows(count: int) -> list[dict[str, Any]]:
    rng = random.Random(count)
    return [
        {
            "item_id": f"item-{i}",
            "group_id": f"group-{i // 2}",
            "split": rng.choice(["train", "train", "test"]) if i >= 300 else "train",
            "image": rng.randbytes(rng.randrange(400)) if i % 5 else None,
            "texts": [f"text {i} {j}" for j in range(rng.randrange(4))],
            "sections": [{"name": "findings", "start": 0, "stop": 1}] if i % 2 else [],
            "labels": ["a", "b"][: i % 3],
            "boxes": [{"label": "a", "x0": 0.0, "y0": 0.25, "x1": 0.5, "y1": 1.0}][: i % 2],
            "masks": [{"name": "heart", "png": rng.randbytes(9)}][: i % 3],
            "meta": [("view", "PA")],
        }
        for i in range(count)
    ]


def _write(tmp_path: Path, rows: list[dict[str, Any]], chunk: int, name: str = "pairs") -> Artifact:
    uri = str(tmp_path / name)
    table = pa.Table.from_pylist(rows, schema=PAIR_SCHEMA)
    with create(uri, "pairs", {}) as draft, PairWriter(draft.path) as writer:
        for start in range(0, len(rows), chunk):
            writer.write(table.slice(start, chunk))
    return open_artifact(uri)


def test_rows_come_back_as_written(tmp_path: Path) -> None:
    """Every later stage trusts that what was ingested is what it reads."""
    rows = _rows(700)
    table = read_pairs(_write(tmp_path, rows, 90))
    assert table.schema.equals(PAIR_SCHEMA)
    assert table.to_pylist() == rows


def test_columns_and_split_are_chosen(tmp_path: Path) -> None:
    """A wrong filter trains on the test set."""
    rows = _rows(700)
    artifact = _write(tmp_path, rows, 700)
    table = read_pairs(artifact, ["item_id", "labels"], "test")
    assert table.column_names == ["item_id", "labels"]
    assert table["item_id"].to_pylist() == [r["item_id"] for r in rows if r["split"] == "test"]
    assert read_pairs(artifact, ["item_id"], "val").num_rows == 0
    assert all(part.num_rows for part in iter_pairs(artifact, ["item_id"], "test"))


def test_reading_streams(tmp_path: Path) -> None:
    """A reader that takes a whole shard at once does not fit in memory on a real set."""
    parts = list(iter_pairs(_write(tmp_path, _rows(700), 700)))
    assert [part.num_rows for part in parts] == [256, 256, 188]


@pytest.mark.parametrize("chunk", [1, 64, 257])
def test_bytes_do_not_depend_on_arrival(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same input on another cluster would get another artifact id."""
    monkeypatch.setattr(shards, "GROUP_BYTES", 20_000)
    monkeypatch.setattr(shards, "SHARD_BYTES", 30_000)
    rows = _rows(700)
    whole, parts = _write(tmp_path, rows, 700, "whole"), _write(tmp_path, rows, chunk, "parts")
    assert len(whole.manifest.payload) > 2
    assert whole.id == parts.id
    assert read_pairs(parts).to_pylist() == rows


def test_large_images_end_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row group of 256 large photos would not fit in a reader's memory."""
    monkeypatch.setattr(shards, "GROUP_BYTES", 1000)
    rows = [{**row, "image": bytes(400)} for row in _rows(10)]
    artifact = _write(tmp_path, rows, 10)
    file = pq.ParquetFile(artifact.local() / "part-00000.parquet")
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [3, 3, 3, 1]
