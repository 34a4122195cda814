"""A corpus of random images and texts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossray.core.types import ImageBatch, TextBatch
from crossray.data.corpora.corpus import Corpus


class RandomCorpus(Corpus):
    """`items` images of 64 pixels, each with `texts` texts of different lengths."""

    def __init__(self, items: int, texts: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.item_ids = [str(number) for number in range(items)]
        self.keys_N = torch.arange(items)
        self.labels = [[str(number % 3)] for number in range(items)]
        self._images = torch.randn(items, 3, 64, 64, generator=generator)
        self._texts = [
            [torch.randint(5, 50, (3 + (row + n) % 5,), generator=generator) for n in range(texts)]
            for row in range(items)
        ]

    def image(self, row: int, epoch: int | None = None) -> Tensor:
        return self._images[row]

    def text_count(self, row: int) -> int:
        return len(self._texts[row])

    def text(self, row: int, number: int) -> Tensor:
        return self._texts[row][number]

    def collate_images(self, images: Sequence[Tensor]) -> ImageBatch:
        return ImageBatch(pixels_BCYX=torch.stack(list(images)))

    def collate_texts(self, texts: Sequence[Tensor]) -> TextBatch:
        lengths = torch.tensor([len(text) for text in texts])
        tokens = torch.nn.utils.rnn.pad_sequence(list(texts), batch_first=True)
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]
        sentence = torch.where(mask, 0, -1)
        sentence[:, 0] = -1
        return TextBatch(mask, sentence, tokens_BT=tokens)
