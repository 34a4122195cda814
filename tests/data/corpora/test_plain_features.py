"""Features without weights, and the corpus that gives them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.data import shards
from crossray.data.corpora.corpus import PairCorpus
from crossray.data.corpora.plain_features import (
    BUCKETS,
    SIDE,
    PlainCorpus,
    bag,
    grey_thumbnail,
    hashed_words,
    plain_sample,
    plain_split,
)
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA
from crossray.data.tokenization import load_tokenizer
from crossray.data.transforms import evaluation_transform


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Synthetic films in several row groups, a third of them without text or without image."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = list(generate(PhantomConfig(items=64, unpaired=0.2), 0, 64))
    with create(str(tmp_path / "pairs"), "pairs", {}) as draft:
        with patch.object(shards, "GROUP_ROWS", 8), shards.PairWriter(draft.path) as writer:
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        draft.metrics["items"] = len(rows)
    return open_artifact(str(tmp_path / "pairs"))


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """An image file."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def test_a_thumbnail_is_the_mean_of_each_cell() -> None:
    """Boxes of 3 x 2 pixels, then mean 0 and variance 1: how bright a film is says nothing."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3 * SIDE, 2 * SIDE)).astype(np.uint8)
    small = pixels.reshape(SIDE, 3, SIDE, 2).mean(axis=(1, 3)).round()
    expected = ((small - small.mean()) / small.std()).ravel()
    np.testing.assert_allclose(grey_thumbnail(encoded(pixels)), expected, atol=0.03)
    darker = grey_thumbnail(encoded((pixels // 2 + 10).astype(np.uint8)))
    assert np.corrcoef(darker, expected)[0, 1] > 0.99
    assert darker.std() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_flat_and_coloured_images(form: str) -> None:
    """A black film has no contrast to divide by; colour becomes grey."""
    black = grey_thumbnail(encoded(np.zeros((50, 40, 3), np.uint8), form))
    assert black.shape == (SIDE * SIDE,)
    assert not black.any()


def test_words_fall_into_the_same_bucket_everywhere() -> None:
    """Python's own hash changes with every process; a model and its queries would not agree."""
    assert hashed_words(["dog"]).tolist() == [0x812C397D % BUCKETS]
    found = hashed_words(["A dog, a Dog.", "two dogs"])
    assert len(found) == 6
    assert found[1] == found[3] != found[5]
    counts = bag(found)
    assert counts[found[1]] == pytest.approx(np.log(3))
    assert np.expm1(counts).sum() == pytest.approx(6)
    assert not bag(hashed_words([])).any()


def test_items_are_those_of_the_other_corpus(pairs: Artifact) -> None:
    """The line beside a model must be judged on the very same queries, in their order."""
    tokenizer = load_tokenizer("wordpiece", ["no pleural effusion is seen"] * 3, 200)
    grey = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    other = PairCorpus(pairs, "train", tokenizer, 64, evaluation_transform(32, *grey))
    plain = plain_split(pairs, "train")
    assert plain.item_ids == other.item_ids
    assert plain.labels == other.labels
    assert torch.equal(plain.keys_N, other.keys_N)
    counts = [corpus.text_count(row) for corpus in (plain, other) for row in range(len(plain))]
    assert counts[: len(plain)] == counts[len(plain) :]
    for row in (0, len(plain) - 1):
        expected = grey_thumbnail(other.picture(row))
        np.testing.assert_array_equal(plain.image(row)[:, 0, 0].numpy(), expected)
        words = bag(hashed_words(other.text(row, 0)))
        np.testing.assert_array_equal(plain.text(row, 0).numpy(), words)
    texts = plain.collate_texts([plain.text(row, 0) for row in range(3)])
    assert texts.states_BTD is not None
    assert texts.states_BTD.shape == (3, 1, BUCKETS)
    assert texts.mask_BT.all()


def test_a_sample_has_the_size_asked_for(pairs: Artifact) -> None:
    """A huge training split must cost no more than a small one, and a small one is taken whole."""
    whole = plain_split(pairs, "train").item_ids
    some = plain_sample(pairs, "train", 10)
    assert len(some) == len(set(some.item_ids)) == 10
    assert set(some.item_ids) < set(whole)
    assert some.item_ids != whole[:10], "not only the first, which may be of one kind"
    assert some.item_ids == plain_sample(pairs, "train", 10).item_ids
    assert sorted(plain_sample(pairs, "train", 1000).item_ids) == sorted(whole)
    with pytest.raises(CrossRayError, match=r"the val split of .* has no item"):
        plain_sample(nothing(pairs), "val", 10)


def nothing(pairs: Artifact) -> Artifact:
    """Pairs whose validation split is empty."""
    folder = Path(pairs.uri).parent / "other"
    rows = [row for row in generate(PhantomConfig(items=8), 0, 8) if row["split"] == "train"]
    with create(str(folder), "pairs", {}) as draft, shards.PairWriter(draft.path) as writer:
        writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
    return open_artifact(str(folder))


def test_an_empty_corpus_has_no_items() -> None:
    """It is refused by its callers, with the name of what was empty."""
    assert len(PlainCorpus([])) == 0
