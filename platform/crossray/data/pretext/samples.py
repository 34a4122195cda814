"""Batches of self-supervision: images and texts with what is drawn for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from crossray.core.types import ImageBatch, PretextBatch, TextBatch
from crossray.data.clinical_terms import load_terms
from crossray.data.corpora.unimodal import UnimodalCorpus
from crossray.data.pretext.config import PretextConfig
from crossray.data.pretext.images import hidden_rectangles
from crossray.data.pretext.texts import (
    IGNORED,
    Vocabulary,
    mask_units,
    ordered_or_swapped,
    single_tokens,
)
from crossray.data.tokenization import Tokenizer

_IMAGE, _TEXT, _MASK = range(3)  # what draws of an item are for


class _Image(NamedTuple):
    pixels_CYX: Tensor
    views_VCYX: Tensor
    turns: int
    hidden_YX: NDArray[np.bool_]


class _Text(NamedTuple):
    sentences: list[str]
    ordered: int


class _Sample(NamedTuple):
    at: tuple[int, int]
    image: _Image | None
    text: _Text | None


class PretextSamples(Dataset[Any]):
    """Rows of a corpus by (epoch, row), and how they make a batch.

    What is drawn depends on the seed, the epoch and the row only.
    """

    def __init__(
        self,
        corpus: UnimodalCorpus,
        tokenizer: Tokenizer,
        max_tokens: int,
        config: PretextConfig,
        seed: int,
    ) -> None:
        self.corpus, self.seed = corpus, seed
        self._tokenizer, self._max_tokens, self._config = tokenizer, max_tokens, config
        if config.masking != "none":
            self._vocabulary = Vocabulary(tokenizer.mask, np.array(tokenizer.ordinary))
        if config.masking == "clinical":
            load_terms(config.terms)  # refused here, not in the middle of an epoch

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, at: tuple[int, int]) -> _Sample:
        epoch, row = at
        image = self._image(epoch, row) if self._config.images else None
        text = self._text(epoch, row) if self._config.texts else None
        return _Sample(at, image, text)

    def _rng(self, use: int, epoch: int, row: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, use, epoch, row))

    def _image(self, epoch: int, row: int) -> _Image:
        rng, config = self._rng(_IMAGE, epoch, row), self._config
        views = self.corpus.views(row, epoch) if config.views else ()
        whole_CYX = self.corpus.whole(row, epoch) if config.whole or not views else views[0]
        views_VCYX = torch.stack(views) if views else whole_CYX.new_zeros((0, *whole_CYX.shape))
        turns, *view_turns = rng.integers(4, size=3).tolist()
        if views and config.turned_views:
            views_VCYX = torch.stack(
                [
                    torch.rot90(view, times, dims=(1, 2))
                    for view, times in zip(views_VCYX, view_turns, strict=True)
                ]
            )
        hidden_YX = hidden_rectangles(whole_CYX.shape[-1], config.hidden_area, rng)
        return _Image(whole_CYX, views_VCYX, turns, hidden_YX)

    def _text(self, epoch: int, row: int) -> _Text:
        rng, entries = self._rng(_TEXT, epoch, row), self.corpus.entries(row)
        sentences = entries[int(rng.integers(len(entries)))]
        if self._config.sentence_order:
            return _Text(*ordered_or_swapped(sentences, rng))
        return _Text(sentences, IGNORED)

    def collate(self, samples: Sequence[_Sample]) -> PretextBatch:
        """One batch; a modality that the corpus does not have gets no rows."""
        images = [sample.image for sample in samples if sample.image is not None]
        texts = [sample.text for sample in samples if sample.text is not None]
        text, targets_BT, fallback_B = self._masked(texts, [sample.at for sample in samples])
        return PretextBatch(
            image=ImageBatch(pixels_BCYX=_stacked([image.pixels_CYX for image in images], 3)),
            text=text,
            views_BVCYX=_stacked([image.views_VCYX for image in images], 4),
            turns_B=torch.tensor([image.turns for image in images], dtype=torch.long),
            hidden_BYX=_stacked([torch.from_numpy(i.hidden_YX) for i in images], 2),
            targets_BT=targets_BT,
            ordered_B=torch.tensor([text.ordered for text in texts], dtype=torch.long),
            fallback_B=fallback_B,
        )

    def _masked(
        self, texts: Sequence[_Text], at: Sequence[tuple[int, int]]
    ) -> tuple[TextBatch, Tensor, Tensor]:
        """The batch with tokens masked, `targets_BT` and `fallback_B`."""
        config, sentences = self._config, [text.sentences for text in texts]
        spans: list[list[Any]] = [[() for _ in some] for some in sentences]
        if config.masking == "clinical":
            terms = load_terms(config.terms)
            spans = [[terms.spans(sentence) for sentence in some] for some in sentences]
        text, unit_BT = self._tokenizer.encode_spans(sentences, spans, self._max_tokens)
        targets_BT = torch.full_like(text.sentence_BT, IGNORED)
        fallback_B = torch.zeros(len(texts), dtype=torch.bool)
        if config.masking == "none":
            return text, targets_BT, fallback_B
        assert text.tokens_BT is not None
        tokens_BT = text.tokens_BT.clone()
        for row in range(len(texts)):
            unit_T = unit_BT[row].numpy()
            if not (unit_T >= 0).any():
                fallback_B[row] = config.masking == "clinical"
                unit_T = single_tokens((text.sentence_BT[row] >= 0).numpy())
            rng = self._rng(_MASK, *at[row])
            masked = mask_units(
                tokens_BT[row].numpy(), unit_T, config.masked_share, self._vocabulary, rng
            )
            tokens_BT[row] = torch.from_numpy(masked.tokens_T)
            targets_BT[row] = torch.from_numpy(masked.targets_T)
        return TextBatch(text.mask_BT, text.sentence_BT, tokens_BT), targets_BT, fallback_B


def _stacked(tensors: Sequence[Tensor], dimensions: int) -> Tensor:
    """The tensors as one; without any, a tensor of no rows."""
    return torch.stack(list(tensors)) if tensors else torch.zeros(0, *(1,) * dimensions)
