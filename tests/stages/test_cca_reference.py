"""The line beside a model: what CCA is fitted on, and that it is asked what the model was asked."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.data.corpora.corpus import FeatureCorpus
from crossray.data.corpora.feature_table import FeatureWriter, feature_table
from crossray.data.corpora.plain_features import plain_split
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA, iter_pairs
from crossray.data.shards import PairWriter
from crossray.evaluation import get_protocol
from crossray.methods.cca import CcaConfig
from crossray.stages.cca_reference import reference_line
from crossray.stages.closed_form import paired_features
from support.corpora import RandomCorpus
from support.tiny import IMAGE, TEXT


@cache
def films(items: int, seed: int) -> list[dict[str, Any]]:
    """Synthetic films, drawn once."""
    return list(generate(PhantomConfig(items=items, seed=seed), 0, items))


def publish_pairs(folder: Path, name: str, rows: list[dict[str, Any]]) -> Artifact:
    """A `pairs` artifact."""
    with create(str(folder / name), "pairs", {}) as draft:
        with PairWriter(draft.path) as writer:
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        draft.metrics["items"] = len(rows)
        draft.metrics["splits"] = dict(Counter(row["split"] for row in rows))
    return open_artifact(str(folder / name))


def external(folder: Path) -> Artifact:
    """Films of other patients, all to test on."""
    return publish_pairs(folder, "external", [{**row, "split": "test"} for row in films(24, 1)])


def publish_features(folder: Path, pairs: Artifact) -> Artifact:
    """Features in which image and text of an item show the same three numbers."""
    rng = np.random.default_rng(0)
    with create(str(folder / "features"), "features", {}, (pairs,)) as draft:
        with FeatureWriter(draft.path) as writer:
            for table in iter_pairs(pairs, ["item_id", "split", "labels"]):
                rows = table.to_pylist()
                values = [rng.normal(size=3).astype(np.float32) for _ in rows]
                writer.write(
                    feature_table(
                        [row["item_id"] for row in rows],
                        [row["split"] for row in rows],
                        list(range(len(rows))),
                        [row["labels"] for row in rows],
                        values,
                        [[2 - value] for value in values],
                        [[np.zeros(1, np.int16)]] * len(rows),
                        np.dtype(np.float32),
                    )
                )
        draft.metrics.update(writer.counts(), grid_shape=[3, 1, 1], text_width=3)
    return open_artifact(str(folder / "features"))


def publish_model(folder: Path, *parents: Artifact) -> Artifact:
    """A teacher of which only the parents matter here."""
    name = "-".join(["model", *(parent.id[:6] for parent in parents)])
    with create(str(folder / name), "teacher", {}, parents):
        pass
    return open_artifact(str(folder / name))


def line(  # type: ignore[no-untyped-def]
    model: Artifact,
    data: Artifact,
    split: str = "test",
    protocol: str = "hier",
    bits: int | None = None,
):
    """The line for a model that was asked about all items of a split."""
    opened = plain_split if data.kind == "pairs" else FeatureCorpus
    splits = (split, "train", "val") if protocol == "mmach" else (split,)
    item_ids = [item_id for name in splits for item_id in opened(data, name).item_ids]  # type: ignore[arg-type]
    return reference_line(model, data, item_ids, split, get_protocol(protocol), 0, bits)  # type: ignore[arg-type]


@pytest.fixture
def pairs(tmp_path: Path) -> Artifact:
    """Pairs with all splits."""
    return publish_pairs(tmp_path, "pairs", films(240, 0))


def test_cached_features_are_what_it_is_fitted_on(pairs: Artifact, tmp_path: Path) -> None:
    """A method on frozen towers must beat what two linear maps make of the same towers."""
    features = publish_features(tmp_path, pairs)
    student = publish_model(tmp_path, publish_model(tmp_path, pairs, features), pairs)
    for data in (pairs, features):
        found, notes = line(student, data)
        assert notes == []
        assert found.about.startswith(f"the features {features.uri}, fitted on ")
        for result in found.results.values():
            assert result.metrics["R@1"] == 1.0, "the two views are the same"


def test_without_features_plain_ones_are_made(pairs: Artifact, tmp_path: Path) -> None:
    """Every report has the line, also that of a model trained from scratch."""
    found, notes = line(publish_model(tmp_path, pairs), pairs)
    assert notes == []
    train = len(plain_split(pairs, "train"))
    assert found.about == (
        "grey thumbnails of 32 x 32 and bags of words in 1,024 buckets, fitted on "
        f"{train} training items"
    )
    for result in found.results.values():
        assert result.metrics["mAP@all"] > result.baseline["mAP@all"]


def test_the_line_follows_the_protocol(pairs: Artifact, tmp_path: Path) -> None:
    """Codes beside vectors, or images beside texts, would compare nothing."""
    model = publish_model(tmp_path, pairs)
    found, notes = line(model, pairs, protocol="mmdl")
    assert notes == []
    assert list(found.results) == ["image_to_image"]
    found, notes = line(model, pairs, protocol="mmach", bits=16)
    assert notes == []
    for result in found.results.values():
        assert result.lookup is not None
        assert len(result.lookup.radius.precision_D) == 17


def test_other_data_is_judged_by_what_the_model_was_trained_on(
    pairs: Artifact, tmp_path: Path
) -> None:
    """An external test set has no training split, and the model saw none of it either."""
    features = publish_features(tmp_path, pairs)
    found, notes = line(publish_model(tmp_path, pairs, features), external(tmp_path))
    assert notes == []
    assert found.about.startswith("grey thumbnails")
    assert found.about.endswith(f" {len(plain_split(pairs, 'train'))} training items")


def test_nothing_to_fit_it_on_is_said(tmp_path: Path) -> None:
    """A report must not fail for want of its reference."""
    found, notes = line(publish_model(tmp_path), external(tmp_path))
    assert found is None
    assert len(notes) == 1
    assert notes[0].startswith("no reference line: the train split of")


def test_every_text_comes_with_its_image() -> None:
    """Texts of one image paired with another's would leave nothing to correlate."""
    corpus = RandomCorpus(items=7, texts=3)
    method = CcaConfig(image=IMAGE, text=TEXT).build().eval()
    batches = list(paired_features(method, corpus, items=3))
    assert [len(batch.keys_B) for batch in batches] == [9, 9, 3]
    keys = torch.cat([batch.keys_B for batch in batches])
    assert keys.tolist() == [item for item in range(7) for _ in range(3)]
    at = 0
    for batch in batches:
        assert batch.image.grid_BCYX is not None
        assert batch.text.tokens_BT is not None
        for row in range(len(batch.keys_B)):
            item, number = divmod(at, 3)
            with torch.no_grad():
                grid = method.image_grid(corpus.collate_images([corpus.image(item)]))
            torch.testing.assert_close(batch.image.grid_BCYX[row, :, 0, 0], grid[0].mean((1, 2)))
            tokens = batch.text.tokens_BT[row][batch.text.mask_BT[row]]
            assert torch.equal(tokens, corpus.text(item, number))
            at += 1
