"""What is kept beside vectors for a costlier score, and indexes of models that make no codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossray.core.artifacts import Artifact, open_artifact
from crossray.core.errors import CrossRayError
from crossray.index import Modality, load_shards, search, shard_of
from crossray.index.representations import (
    Parts,
    map_representations,
    parts_of,
    reading,
    stacked,
    to_batch,
    writing,
)
from crossray.stages.index import BuildIndex
from support.bruteforce import float_scores, ranked
from support.vectors import Corpus, make_corpus, make_queries, make_shards, publish_vectors

pytestmark = pytest.mark.usefixtures("small_steps")


def draw(rng: np.random.Generator) -> Parts:
    """Every kind of array that a method may keep: none of its lengths is that of the next row."""
    words = int(rng.integers(0, 6))
    return {
        "z": rng.standard_normal(16, np.float32),
        "words": rng.standard_normal((words, 5), np.float32),
        "word_mask": rng.random(words) < 0.5,
        "cells": rng.standard_normal((2, 3, 4)).astype(np.float64),
        "count": np.int64(rng.integers(-9, 9)) * np.ones((), np.int64),
        "bias": np.float32(rng.standard_normal()) * np.ones((), np.float32),
    }


def halved(parts: Parts) -> Parts:
    """As it is kept."""
    return {
        name: array.astype(np.float16) if array.dtype.kind == "f" else array
        for name, array in parts.items()
    }


def assert_equal(found: Parts, expected: Parts) -> None:
    """The same names, types, shapes and numbers."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """A hit would be scored by another item's regions, or by words cut short."""
    rng = np.random.default_rng()
    rows = [draw(rng) for _ in range(20)]
    batches = [to_batch(rows[:1]), to_batch(rows[1:9]), to_batch(rows[9:])]
    with writing(tmp_path / "kept.arrow", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    table = map_representations(tmp_path / "kept.arrow")
    for row, parts in enumerate(rows):
        assert_equal(parts_of(table, row), halved(parts))
    assert [len(batch) for batch in reading(tmp_path / "kept.arrow")] == [1, 8, 11]


def test_unequal_lengths_are_filled_with_zeros() -> None:
    """Candidates of other lengths could not be scored together, or would see each other's words."""
    rng = np.random.default_rng()
    rows = [draw(rng) for _ in range(9)]
    batch = stacked(rows)
    longest = max(len(row["words"]) for row in rows)
    assert batch["words"].shape == (9, longest, 5)
    for place, row in enumerate(rows):
        for name, array in row.items():
            found = batch[name][place]
            if array.ndim:
                np.testing.assert_array_equal(found[: len(array)], array)
                assert not found[len(array) :].any()
            else:
                assert found == array


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_numbers_that_half_precision_cannot_hold(value: float) -> None:
    """One bad number would make every score of its item NaN, at the last step of the road."""
    row = draw(np.random.default_rng())
    row["z"][3] = value
    with pytest.raises(CrossRayError, match="'z' holds a number that is not finite in half"):
        to_batch([row])


def built(folder: Path, corpus: Corpus, shards: int, **options: Any) -> Artifact:
    """An index of made-up vectors."""
    vectors = publish_vectors(folder, corpus, **options)
    return BuildIndex(vectors.uri, str(folder / f"index-{shards}"), shards=shards).run()


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("images", [0, 30])
def test_an_index_keeps_representations_by_row(tmp_path: Path, shards: int, images: int) -> None:
    """Shards would mix the items up whose costlier score is wanted."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, images, 45)
    kept: dict[Modality, list[Parts]] = {
        modality: [draw(rng) for _ in side.item_ids] for modality, side in corpus.items()
    }
    index = built(tmp_path, corpus, shards, representations=kept)
    assert index.manifest.config["keep"] == "representations"
    assert index.manifest.metrics["bytes"]["representations"] > 0
    loaded = load_shards(open_artifact(index.uri))
    for modality, side in corpus.items():
        rows = list(range(len(side.item_ids)))
        for shard in loaded:
            found = shard.represented(modality, rows)
            assert found.keys() == {
                row for row in rows if shard_of(side.item_ids[row], shards) == shard.number
            }
            for row, parts in found.items():
                assert_equal(parts, halved(kept[modality][row]))
    assert loaded[0].represented("text", [45, 1000, -1]) == {}


def test_representations_that_are_not_there(tmp_path: Path) -> None:
    """Hits beyond those that were kept would have nobody's score."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 20, 30)
    kept: dict[Modality, list[Parts]] = {
        "image": [draw(rng) for _ in range(20)],
        "text": [draw(rng) for _ in range(29)],
    }
    with pytest.raises(CrossRayError, match="29 representations of 30 text vectors"):
        built(tmp_path, corpus, 2, representations=kept)
    kept["text"] += [draw(rng), draw(rng)]
    with pytest.raises(CrossRayError, match="31 representations of 30 text vectors"):
        built(tmp_path / "more", corpus, 2, representations=kept)
    (shard, *_) = load_shards(built(tmp_path / "none", corpus, 2))
    with pytest.raises(CrossRayError, match="holds no representations"):
        shard.represented("text", [0])
    whole = built(tmp_path / "whole", corpus, 2, representations={**kept, "text": kept["text"][1:]})
    lost = whole.local() / "shard-01" / "text" / "representations.arrow"
    lost.write_bytes(lost.read_bytes()[:100])
    with pytest.raises(CrossRayError, match=r"shard 1 of .* is damaged"):
        load_shards(whole)


@pytest.mark.parametrize("shards", [1, 3])
def test_an_index_without_codes(tmp_path: Path, shards: int) -> None:
    """Vectors of a teacher could not be searched; by codes they cannot be, and that is said."""
    rng = np.random.default_rng()
    corpus = make_corpus(rng, 60, 90, bits=0)
    index = built(tmp_path, corpus, shards)
    assert index.manifest.config["bits"] == 0
    assert not [name for name in index.manifest.payload if name.endswith("codes.faiss")]
    metrics = index.manifest.metrics
    assert metrics["recall@10"]["text_to_image"] == {"float": 1}
    assert metrics["bytes"]["codes"] == 0
    vectors, codes = make_queries(rng, corpus, 7)
    assert codes.shape == (7, 0)
    for parts in (load_shards(index), make_shards(corpus, shards)):
        found = search(parts, "image", vectors, codes, 9, "float")
        expected = ranked(float_scores(vectors, corpus["image"].vectors_ND), 9)
        assert (found.scores_QK.tolist(), found.rows_QK.tolist()) == expected
        for mode in ("binary", "rescore"):
            with pytest.raises(CrossRayError, match=f"{mode}.* compares codes .* holds none"):
                search(parts, "image", vectors, codes, 9, mode)  # type: ignore[arg-type]
            with pytest.raises(CrossRayError, match="holds none"):
                parts[0].search("image", vectors, codes, 9, mode)  # type: ignore[arg-type]
        with pytest.raises(CrossRayError, match="holds none"):
            parts[0].candidates("image", vectors, codes, 9)
    with pytest.raises(CrossRayError, match=r"query codes .* do not fit"):
        search(load_shards(index), "image", vectors, np.zeros((7, 1), np.uint8), 9, "float")
