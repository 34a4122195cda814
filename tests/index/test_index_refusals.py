"""Building an index: what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.index import load_rows, load_shard, load_shards
from crossray.stages.index import BuildIndex
from support.vectors import (
    Corpus,
    build_index,
    interleaved,
    make_corpus,
    publish_vectors,
)

pytestmark = pytest.mark.usefixtures("small_steps")


def broken_tables(corpus: Corpus) -> dict[str, tuple[pa.Table, str]]:
    """Payloads of a `vectors` artifact that no index can be made of."""
    table = interleaved(corpus)

    def changed(column: str, values: Any, kind: Any) -> pa.Table:
        return table.set_column(table.column_names.index(column), column, pa.array(values, kind))

    def vector(row: int, value: float) -> pa.Table:
        vectors = [list(own) for own in table["vector"].to_pylist()]
        vectors[row] = [value] * 16
        halves = np.array(vectors, np.float16).ravel()
        column = pa.FixedSizeListArray.from_arrays(pa.array(halves), 16)
        return table.set_column(table.column_names.index("vector"), "vector", column)

    sounds = ["sound", *table["modality"].to_pylist()[1:]]
    nulls = [None, *table["item_id"].to_pylist()[1:]]
    number = table["number"].to_pylist()
    return {
        "modality": (changed("modality", sounds, pa.string()), "modality 'sound'"),
        "null": (changed("item_id", nulls, pa.string()), "part-00000.parquet .* nulls"),
        "type": (changed("number", number, pa.int64()), "'number' .* is int64, but int32"),
        "missing": (table.drop_columns("code"), "'code' .* is missing"),
        "NaN": (vector(3, np.nan), "'item-0-é' has length nan, not 1"),
        "zero": (vector(0, 0.0), "'item-0-é' has length 0, not 1"),
        "too long": (vector(1, 0.9), "has length 3.6, not 1"),
        "rows lost": (table.slice(2), r"has \d+ image vectors but holds"),
    }


@pytest.mark.parametrize(
    "case", ["modality", "null", "type", "missing", "NaN", "zero", "too long", "rows lost"]
)
def test_refuses_broken_vectors(tmp_path: Path, case: str) -> None:
    """A broken vector must not be indexed where it will never, or always, be found."""
    corpus = make_corpus(np.random.default_rng(), 20, 30)
    table, message = broken_tables(corpus)[case]
    publish_vectors(tmp_path, corpus, table=table)
    with pytest.raises(CrossRayError, match=message):
        build_index(tmp_path, corpus)
    assert not (tmp_path / "index").exists()
    assert not list(tmp_path.glob(".*partial"))


def edit_manifest(artifact: Artifact, change: Any) -> None:
    """Rewrite the manifest of a published artifact."""
    path = Path(artifact.uri) / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["config"].pop("dim"), "does not say its dimension"),
        (lambda data: data["metrics"].pop("rows"), "does not say its dimension, bits and rows"),
        (lambda data: data["config"].update(bits=12), "codes of 12 bits"),
        (lambda data: data["config"].update(dim=8), r"'vector' .* but fixed_size_list.*\[8\]"),
        (lambda data: data["parents"].pop(0), "which teacher or student"),
    ],
)
def test_refuses_a_manifest_that_does_not_fit(tmp_path: Path, change: Any, message: str) -> None:
    """Vectors of an unknown student cannot be served: nothing would encode the queries."""
    corpus = make_corpus(np.random.default_rng(), 4, 4)
    edit_manifest(publish_vectors(tmp_path, corpus), change)
    with pytest.raises(CrossRayError, match=message):
        build_index(tmp_path, corpus)


def test_refuses_wrong_options_before_any_work(tmp_path: Path) -> None:
    """A typing mistake must not cost the time of a build."""
    corpus = make_corpus(np.random.default_rng(), 4, 4)
    vectors = publish_vectors(tmp_path, corpus)
    for options, message in (
        ({"shards": 0}, "shards=0"),
        ({"target_recall": 1.5}, "target_recall=1.5"),
        ({"target_recall": 0.0}, "target_recall=0.0"),
        ({"memory": "much"}, "'much' is not an amount"),
    ):
        with pytest.raises(CrossRayError, match=message):
            build_index(tmp_path, corpus, **options)
    with pytest.raises(CrossRayError, match="is a student artifact, but vectors was expected"):
        BuildIndex(str(tmp_path / "student"), str(tmp_path / "x")).run()
    with pytest.raises(CrossRayError, match="already exists"):
        BuildIndex(vectors.uri, str(tmp_path / "student")).run()


def test_refuses_what_is_no_whole_index(tmp_path: Path) -> None:
    """A replica must not start on half an index, or on something else."""
    corpus = make_corpus(np.random.default_rng(), 40, 40)
    index = build_index(tmp_path, corpus, shards=2)
    with pytest.raises(CrossRayError, match="is a vectors artifact, but index was expected"):
        load_shards(open_artifact(str(tmp_path / "vectors")))
    with pytest.raises(CrossRayError, match="is a vectors artifact, but index was expected"):
        load_rows(open_artifact(str(tmp_path / "vectors")), "image")
    with pytest.raises(CrossRayError, match="'sound' is not a modality"):
        load_rows(index, "sound")  # type: ignore[arg-type]
    with pytest.raises(CrossRayError, match="has no shard 2; its shards are 0 to 1"):
        load_shard(index, 2)
    floats = Path(index.uri) / "shard-01" / "text" / "float.faiss"
    whole = floats.read_bytes()
    floats.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CrossRayError, match=r"damaged: .*float.faiss"):
        open_artifact(index.uri)
    with pytest.raises(CrossRayError, match=r"shard 1 of .* is damaged"):
        load_shard(index, 1)
    floats.unlink()
    with pytest.raises(CrossRayError, match=r"shard 1 of .* is damaged"):
        load_shard(index, 1)
    shutil.copy(Path(index.uri) / "shard-00" / "text" / "float.faiss", floats)
    with pytest.raises(CrossRayError, match=r"shard 1 of .* is damaged"):
        load_shard(index, 1)
    load_shard(index, 0)
    (Path(index.uri) / "rows-text.arrow").write_bytes(b"")
    with pytest.raises(CrossRayError, match=r"the table of text rows of .* is damaged"):
        load_rows(index, "text")
    (Path(index.uri) / "manifest.json").unlink()
    with pytest.raises(CrossRayError, match="not a whole artifact"):
        open_artifact(index.uri)
