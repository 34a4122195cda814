"""A teacher's outputs on disk and in batches."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import torch

from crossray.core.errors import CrossRayError
from crossray.core.types import TaughtBatch
from crossray.data.corpora.distillation import (
    OUTPUTS_SCHEMA,
    DistillationCorpus,
    ItemOutputs,
    outputs_batch,
)
from crossray.data.corpora.loading import training_loader
from crossray.data.corpora.memory_map import map_table
from crossray.data.corpora.sampling import BatchSampler
from support.corpora import RandomCorpus


def outputs(row: int, corpus: RandomCorpus) -> ItemOutputs:
    """ItemOutputs that name their item and text, of the length of the text."""
    texts = [
        {
            "z": torch.full((4,), row + n / 8),
            "words": torch.full((len(corpus.text(row, n)), 2), row + n / 8),
            "mask": torch.ones(len(corpus.text(row, n)), dtype=torch.bool),
        }
        for n in range(corpus.text_count(row))
    ]
    layers = [{"attention_0": torch.ones(len(t["mask"]), len(t["mask"]))} for t in texts]
    image_layers = {"hidden_2": torch.full((5, 3), float(row))}
    return ItemOutputs({"z": torch.full((4,), float(row))}, texts, image_layers, layers)


def test_outputs_come_with_their_own_image_and_text(tmp_path: Path) -> None:
    """A shift by one row would teach every image its neighbour's report."""
    corpus = RandomCorpus(items=12, texts=3)
    with (
        pa.OSFile(str(tmp_path / "o.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, OUTPUTS_SCHEMA) as file,
    ):
        for start in (0, 5, 10):
            rows = range(start, min(start + 5, 12))
            file.write_batch(outputs_batch(outputs(row, corpus) for row in rows))
    taught = DistillationCorpus(corpus, corpus, map_table(tmp_path / "o.arrow"))
    loader = training_loader(taught, BatchSampler(12, 4, 2, seed=0), seed=0, processes=0)
    numbers = set()
    for batch in loader:
        torch.testing.assert_close(batch.teacher.images["z"][:, 0], batch.keys_B.float())
        hidden = batch.teacher.image_layers["hidden_2"]
        assert hidden.shape == (4, 5, 3)
        torch.testing.assert_close(hidden[:, 4, 2], batch.keys_B.float())
        assert torch.equal(batch.teacher.texts["mask"], batch.text.mask_BT)
        said = batch.teacher.texts["z"][:, 0] - batch.keys_B
        numbers |= set((said * 8).round().int().tolist())
        words = batch.teacher.texts["words"]
        assert torch.equal(words[..., 0] != 0, words[..., 1] != 0)
        width = batch.text.mask_BT.shape[1]
        assert batch.teacher.text_layers["attention_0"].shape == (4, width, width)
        for row, length in enumerate(batch.text.mask_BT.sum(dim=1).tolist()):
            assert batch.teacher.text_layers["attention_0"][row].sum() == length**2
    assert numbers == {0, 1, 2}


def test_other_items_are_refused() -> None:
    """Features of an older ingest would pair photos with the wrong captions."""
    with pytest.raises(CrossRayError, match="same items"):
        DistillationCorpus(RandomCorpus(3, 1), RandomCorpus(4, 1), None)


def test_without_a_teacher_there_is_no_teaching() -> None:
    """Pretraining reads the same loader."""
    loader = training_loader(RandomCorpus(4, 1), BatchSampler(4, 2, 1, seed=0), 0, 0)
    assert not any(isinstance(batch, TaughtBatch) for batch in loader)
