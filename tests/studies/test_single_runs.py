"""Features of pairs that were split anew: the rows stay, the splits change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossray.core.artifacts import Artifact, create, open_artifact, require_parent
from crossray.core.errors import CrossRayError
from crossray.data.corpora.corpus import FeatureCorpus
from crossray.data.split import SPLITS
from crossray.data.splits.splitters import Fold
from crossray.stages.split import resplit
from crossray.studies.single_runs import resplit_features
from support.pairs import read_pairs, write_pairs

ITEMS = 30
METRICS = {"grid_shape": [2, 1, 1], "text_width": 3}


def rows_of(items: Sequence[int]) -> list[dict[str, Any]]:
    """Features of which every number tells the item."""
    return [
        {"item_id": f"i{n}", "split": SPLITS[n % 3], "key": n, "labels": [f"l{n % 4}"],
         "grid": [n, n + 0.5], "states": [[n] * 6], "sentences": [[-1, 0]]}
        for n in items
    ]  # fmt: skip


@pytest.fixture
def pairs(tmp_path: Path) -> Artifact:
    """Items without images, ten in each split."""
    plain: dict[str, Any] = {
        "image": None, "texts": ["x"], "sections": [], "labels": [], "boxes": [], "meta": {}
    }  # fmt: skip
    rows = [
        {**plain, "item_id": f"i{n}", "group_id": f"i{n}", "split": SPLITS[n % 3]}
        for n in range(ITEMS)
    ]
    return write_pairs(str(tmp_path / "pairs"), rows)


def publish(pairs: Artifact, uri: str, items: Sequence[int] = range(ITEMS)) -> Artifact:
    """Features of some items of the pairs, in batches of four."""
    kind = pa.float16()
    schema = pa.schema(
        [("item_id", pa.string()), ("split", pa.string()), ("key", pa.int64()),
         ("labels", pa.list_(pa.string())), ("grid", pa.list_(kind)),
         ("states", pa.list_(pa.large_list(kind))),
         ("sentences", pa.list_(pa.list_(pa.int16())))]
    )  # fmt: skip
    with create(uri, "features", {"dtype": "float16"}, (pairs,)) as draft:
        for split in SPLITS:
            own = [row for row in rows_of(items) if row["split"] == split]
            columns = [
                pa.array(
                    [np.float16(row[f.name]) for row in own]
                    if f.name == "grid"
                    else [[np.float16(row["states"][0])] for row in own]
                    if f.name == "states"
                    else [row[f.name] for row in own],
                    f.type,
                )
                for f in schema
            ]
            path = str(draft.path / f"{split}.arrow")
            with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                writer.write_table(pa.table(columns, schema=schema), max_chunksize=4)
        (draft.path / "tokenizer.json").write_text("words")
        draft.metrics.update(METRICS, items=len(items))
    return open_artifact(uri)


def test_every_row_goes_where_its_item_went(pairs: Artifact, tmp_path: Path) -> None:
    """A fold would be trained on the images of its own test patients."""
    features = publish(pairs, str(tmp_path / "features"))
    fold = resplit(pairs, Fold(2, 3), str(tmp_path / "fold"))
    dealt = resplit_features(features, fold, str(tmp_path / "dealt"))
    require_parent(dealt, fold)
    assert dealt.manifest.config == features.manifest.config
    assert dealt.manifest.metrics["items"] == ITEMS
    assert dealt.manifest.metrics["splits"] == fold.manifest.metrics["splits"]
    assert (dealt.local() / "tokenizer.json").read_text() == "words"
    for split in SPLITS:
        corpus = FeatureCorpus(dealt, split)
        wanted = read_pairs(fold, ["item_id"], split)["item_id"].to_pylist()
        assert sorted(corpus.item_ids) == sorted(wanted)
        for row, name in enumerate(corpus.item_ids):
            number = int(name[1:])
            assert corpus.image(row).flatten().tolist() == [number, number + 0.5]
            states, sentence = corpus.text(row, 0)
            assert states.tolist() == [[number] * 3] * 2
            assert sentence.tolist() == [-1, 0]
            assert (corpus.keys_N[row], corpus.labels[row]) == (number, [f"l{number % 4}"])


def test_features_of_other_pairs_are_refused(pairs: Artifact, tmp_path: Path) -> None:
    """Training would start on a part of the fold and look as if it went well."""
    fold = resplit(pairs, Fold(1, 3), str(tmp_path / "fold"))
    tested = read_pairs(fold, ["item_id"], "test")["item_id"].to_pylist()
    others = [n for n in range(ITEMS) if f"i{n}" not in tested]
    features = publish(pairs, str(tmp_path / "features"), others)
    with pytest.raises(CrossRayError, match="has no item of the test split"):
        resplit_features(features, fold, str(tmp_path / "dealt"))
    assert not (tmp_path / "dealt").exists()
