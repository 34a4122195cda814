"""Batches of self-supervision: images and texts with what is drawn for them.

Drawn are hidden pixels, masked tokens and the order of sentences. What BERT does to single tokens
(Devlin et al. 2019, section 3.1) is done to complete clinical terms here (docs/methods/hier.md).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from crossray.core.types import ImageBatch, PretextBatch, TextBatch
from crossray.data.clinical_terms import load_terms
from crossray.data.corpora.loading import ordered_loader
from crossray.data.corpora.sampling import BatchSampler
from crossray.data.pretext.config import PretextConfig
from crossray.data.pretext.corpus import UnimodalCorpus
from crossray.data.tokenization import Tokenizer

IGNORED = -1
_IMAGE, _TEXT, _MASK = range(3)  # what draws of an item are for
_MASKED, _REPLACED = 0.8, 0.1  # shares of what is chosen; the rest is kept as it is
_SMALLEST, _LARGEST = 8, 3  # sides of the rectangles: an eighth to a third of the image's

Ints = NDArray[np.int64]


def hidden_rectangles(side: int, area: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """`hidden_YX`: bool, True in random rectangles that cover `area` of a square image.

    They cover it up to the height of the last one, at most a third of `side`, in pixels.
    """
    hidden_YX = np.zeros((side, side), dtype=bool)
    wanted = round(area * side * side)
    smallest, largest = max(1, side // _SMALLEST), max(1, side // _LARGEST)
    while (missing := wanted - int(hidden_YX.sum())) > 0:
        height, width = rng.integers(smallest, largest + 1, size=2).tolist()
        width = min(width, -(-missing // height))
        top, left = (int(rng.integers(side - length + 1)) for length in (height, width))
        hidden_YX[top : top + height, left : left + width] = True
    return hidden_YX


class Vocabulary(NamedTuple):
    """The token that replaces a hidden one, and all that a random one is drawn from."""

    mask: int
    ordinary_V: Ints


class Masked(NamedTuple):
    """`tokens_T` as the model sees them; `targets_T`: what stood there, `IGNORED` elsewhere."""

    tokens_T: Ints
    targets_T: Ints


def chosen_units(unit_T: Ints, share: float, rng: np.random.Generator) -> Ints:
    """The numbers of the units that are masked: `share` of those that occur, at least one.

    `unit_T`: the unit that each token is part of, negative for none. The expected number is
    `share` times their number where that is 1 or more.
    """
    units = np.unique(unit_T[unit_T >= 0])
    if not len(units):
        return units
    count = max(1, int(share * len(units) + rng.random()))
    return np.sort(rng.choice(units, count, replace=False))


def mask_units(
    tokens_T: Ints, unit_T: Ints, share: float, vocabulary: Vocabulary, rng: np.random.Generator
) -> Masked:
    """Mask complete units: 80 % become mask tokens, 10 % random tokens, 10 % stay as they are."""
    seen_T, targets_T = tokens_T.copy(), np.full_like(tokens_T, IGNORED)
    for unit in chosen_units(unit_T, share, rng):
        of_unit_T = unit_T == unit
        targets_T[of_unit_T] = tokens_T[of_unit_T]
        draw = rng.random()
        if draw < _MASKED:
            seen_T[of_unit_T] = vocabulary.mask
        elif draw < _MASKED + _REPLACED:
            seen_T[of_unit_T] = rng.choice(vocabulary.ordinary_V, int(of_unit_T.sum()))
    return Masked(seen_T, targets_T)


def single_tokens(inside_T: NDArray[np.bool_]) -> Ints:
    """Units of one token each, of the tokens that are `inside` the text."""
    return np.where(inside_T, np.arange(len(inside_T)), -1)


def ordered_or_swapped(sentences: Sequence[str], rng: np.random.Generator) -> tuple[list[str], int]:
    """The sentences cut in two at a random place, the halves swapped with probability 0.5.

    Gives 1 where they keep their order, 0 where swapped, `IGNORED` for a single sentence
    (sentence order prediction, Lan et al. 2020, section 3.1).
    """
    if len(sentences) < 2:
        return list(sentences), IGNORED
    cut = int(rng.integers(1, len(sentences)))
    if rng.random() < 0.5:
        return list(sentences), 1
    return [*sentences[cut:], *sentences[:cut]], 0


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
        upright_CYX = self.corpus.upright(row, epoch) if config.whole or not views else views[0]
        views_VCYX = torch.stack(views) if views else upright_CYX.new_zeros((0, *upright_CYX.shape))
        turns, *view_turns = rng.integers(4, size=3).tolist()
        if views and config.turned_views:
            views_VCYX = torch.stack(
                [
                    torch.rot90(view, times, dims=(1, 2))
                    for view, times in zip(views_VCYX, view_turns, strict=True)
                ]
            )
        hidden_YX = hidden_rectangles(upright_CYX.shape[-1], config.hidden_area, rng)
        return _Image(upright_CYX, views_VCYX, turns, hidden_YX)

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


def pretext_loader(
    samples: PretextSamples, sampler: BatchSampler, processes: int
) -> DataLoader[PretextBatch]:
    """As `training_loader`, for images and texts that are read independently of each other."""
    return ordered_loader(samples, samples.collate, sampler, processes)
