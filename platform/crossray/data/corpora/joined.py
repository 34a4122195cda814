"""Several splits as one corpus."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from crossray.core.types import ImageBatch, TextBatch
from crossray.data.corpora.corpus import Corpus, PairCorpus


class JoinedCorpus(Corpus):
    """The items of corpora of one kind, one corpus behind the other."""

    def __init__(self, parts: Sequence[Corpus]) -> None:
        """`parts`: at least one, read with the same tokenizer and transform."""
        self._parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
        self.item_ids = [item_id for part in parts for item_id in part.item_ids]
        self.keys_N = torch.cat([part.keys_N for part in parts])
        self.labels = [labels for part in parts for labels in part.labels]

    def _at(self, row: int) -> tuple[Corpus, int]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._parts[number], row - int(self._starts[number])

    def image(self, row: int, epoch: int | None = None) -> Any:
        """See `Corpus.image`."""
        part, place = self._at(row)
        return part.image(place, epoch)

    def picture(self, row: int) -> bytes:
        """See `PairCorpus.picture`; of parts that are pairs."""
        part, place = self._at(row)
        assert isinstance(part, PairCorpus)
        return part.picture(place)

    def text_count(self, row: int) -> int:
        """See `Corpus.text_count`."""
        part, place = self._at(row)
        return part.text_count(place)

    def text(self, row: int, number: int) -> Any:
        """See `Corpus.text`."""
        part, place = self._at(row)
        return part.text(place, number)

    def collate_images(self, images: Sequence[Any]) -> ImageBatch:
        """See `Corpus.collate_images`."""
        return self._parts[0].collate_images(images)

    def collate_texts(self, texts: Sequence[Any]) -> TextBatch:
        """See `Corpus.collate_texts`."""
        return self._parts[0].collate_texts(texts)
