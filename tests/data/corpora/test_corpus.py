"""What training and evaluation read of a pairs artifact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from crossray.core.artifacts import Artifact, create, open_artifact
from crossray.core.errors import CrossRayError
from crossray.core.types import TextBatch
from crossray.data.corpora.corpus import PairCorpus, study_key
from crossray.data.corpora.loading import multi_hot, some_sentences, training_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.phantom import PhantomConfig, generate
from crossray.data.schema import PAIR_SCHEMA, text_entries
from crossray.data.shards import PairWriter
from crossray.data.tokenization import load_tokenizer
from crossray.data.transforms import AugmentConfig, evaluation_transform, training_transform
from support.corpora import RandomCorpus

GREY = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """Synthetic films, a third of them without text or without image."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = list(generate(PhantomConfig(items=64, unpaired=0.2), 0, 64))
    with create(str(tmp_path / "pairs"), "pairs", {}) as draft:
        with PairWriter(draft.path) as writer:
            writer.write(pa.Table.from_pylist(rows, PAIR_SCHEMA))
        draft.metrics["items"] = len(rows)
    return open_artifact(str(tmp_path / "pairs"))


def corpus_of(pairs: Artifact) -> PairCorpus:
    """The training split at 32 pixels with a vocabulary of its own."""
    tokenizer = load_tokenizer(
        "wordpiece", ["no pleural effusion or pneumothorax is seen"] * 3, 200
    )
    return PairCorpus(
        pairs,
        "train",
        tokenizer,
        64,
        evaluation_transform(32, *GREY),
        training_transform(32, *GREY, AugmentConfig(), seed=0),
    )


def test_only_paired_items_of_the_split(pairs: Artifact) -> None:
    """An item without text cannot be trained on; one of another split must not be."""
    rows = [
        r for r in generate(PhantomConfig(items=64, unpaired=0.2), 0, 64) if r["split"] == "train"
    ]
    paired = [row["item_id"] for row in rows if row["image"] is not None and row["texts"]]
    assert 0 < len(paired) < len(rows)
    assert corpus_of(pairs).item_ids == paired


class Numbered(RandomCorpus):
    """Eight sentences an item, each a token that is its number, from 1."""

    def text(self, row: int, number: int) -> list[str]:
        return [str(place) for place in range(1, 9)]

    def collate_texts(self, texts: Sequence[list[str]]) -> TextBatch:
        rows = [torch.tensor([int(sentence) for sentence in text]) for text in texts]
        tokens_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return TextBatch(tokens_BT > 0, torch.where(tokens_BT > 0, 0, -1), tokens_BT=tokens_BT)


def test_some_sentences_are_shown_in_their_order() -> None:
    """A lost order, a sentence twice or a wrong share would teach texts that nobody wrote."""
    sampler = BatchSampler(12, 4, 50, 3)
    loader = training_loader(Numbered(12, 1), sampler, 5, 0, sentences=0.5)
    shown = [row_T[row_T > 0].tolist() for batch in loader for row_T in batch.text.tokens_BT]
    assert all(row == sorted(set(row)) for row in shown)
    counts = Counter(len(row) for row in shown)
    assert set(counts) == {4, 5, 6, 7, 8}
    # a share uniform in [0.5, 1], rounded: the ends are half as often as what lies between
    assert counts[6] / len(shown) == pytest.approx(1 / 4, abs=0.06)
    assert counts[4] / len(shown) == pytest.approx(1 / 8, abs=0.06)
    (whole,) = {len(row_T) for batch in training_loader(Numbered(12, 1), sampler, 5, 0)
                for row_T in batch.text.tokens_BT}  # fmt: skip
    assert whole == 8


def test_one_sentence_is_always_shown() -> None:
    """A report of one sentence, or a share of nearly none, must not become an empty text."""
    rng = np.random.default_rng(0)
    assert some_sentences(["one"], 0.0, rng) == ["one"]
    counts = [len(some_sentences(["a", "b", "c"], 0.0, rng)) for _ in range(300)]
    assert set(counts) == {1, 2, 3}
    assert some_sentences(["a", "b", "c"], 1.0, rng) == ["a", "b", "c"]


def test_batches_do_not_depend_on_resuming_or_on_loader_processes(pairs: Artifact) -> None:
    """An exact resume needs the very same pixels and words, and the very same dropout."""
    corpus, drawn = corpus_of(pairs), torch.get_rng_state()
    sampler = BatchSampler(len(corpus), 8, 2, 3)
    whole = list(training_loader(corpus, sampler, 5, 0))
    assert torch.equal(torch.get_rng_state(), drawn)
    resumed = BatchSampler(len(corpus), 8, 2, 3, start=2)
    rest = list(training_loader(corpus, resumed, 5, 2))
    assert len(rest) == len(whole) - 2
    for expected, found in zip(whole[2:], rest, strict=True):
        assert expected.image.pixels_BCYX is not None
        assert found.image.pixels_BCYX is not None
        assert torch.equal(expected.image.pixels_BCYX, found.image.pixels_BCYX)
        assert expected.text.tokens_BT is not None
        assert found.text.tokens_BT is not None
        assert torch.equal(expected.text.tokens_BT, found.text.tokens_BT)
        assert torch.equal(expected.keys_B, found.keys_B)


def test_an_empty_split_is_refused(tmp_path: Path, pairs: Artifact) -> None:
    """Training on nothing must not look like success."""
    tokenizer = load_tokenizer("wordpiece", ["a film"] * 3, 100)
    with create(str(tmp_path / "none"), "pairs", {}) as draft, PairWriter(draft.path):
        pass
    none = open_artifact(str(tmp_path / "none"))
    with pytest.raises(CrossRayError, match="no item with both"):
        PairCorpus(none, "val", tokenizer, 64, evaluation_transform(32, *GREY))


def test_sections_tell_a_document_from_captions() -> None:
    """A report is one text; five captions are five."""
    section = {"name": "findings", "start": 0, "stop": 2}
    assert text_entries(["a", "b"], [section]) == [["a", "b"]]  # type: ignore[list-item]
    assert text_entries(["a", "b"], []) == [["a"], ["b"]]


def test_images_of_a_study_share_its_key() -> None:
    """They must never be each other's negatives."""
    assert study_key("a", [("study_id", "s")]) == study_key("b", [("study_id", "s")])
    assert study_key("a", []) != study_key("b", [])


def test_labels_of_a_batch_are_those_of_its_rows(pairs: Artifact) -> None:
    """A row with another item's labels teaches a supervised method nonsense."""
    corpus = corpus_of(pairs)
    names = sorted({name for labels in corpus.labels for name in labels})
    for batch in training_loader(corpus, BatchSampler(len(corpus), 8, 2, 3), 5, 0, names):
        assert batch.labels_BC is not None
        assert batch.rows_B is not None
        assert torch.equal(batch.keys_B, corpus.keys_N[batch.rows_B])
        for row, found in zip(batch.rows_B.tolist(), batch.labels_BC.tolist(), strict=True):
            assert found == [float(name in corpus.labels[row]) for name in names]


def test_a_label_that_the_manifest_does_not_list_is_refused() -> None:
    """A label without a column would be dropped without a word."""
    with pytest.raises(CrossRayError, match="'edema'"):
        multi_hot([["fracture"], ["edema"]], ["fracture"])
    assert multi_hot([], ["fracture"]).shape == (0, 1)
